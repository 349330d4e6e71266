package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"firebreak/internal/catalogue"
	"firebreak/internal/config"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
	"firebreak/signals"
)

// accountChecks are the checks of one Sysdig account.
type accountChecks struct {
	client *sysdig.Client
	cfg    *config.Config
	// name is what each of them is called by: "sysdig" or "sysdig tenant NAME".
	name string
	// only says that there is no other account, so that every route is for it.
	only bool
}

// checkSysdig checks the accounts side by side: many tenants whose hosts swallow
// packets are waited for once.
func checkSysdig(ctx context.Context, cfg *config.Config) []check {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	accounts, err := cfg.SysdigAccounts()
	if err != nil {
		return []check{result("sysdig token", "", err)}
	}
	checks := make([][]check, len(accounts))
	var group sync.WaitGroup
	for i := range accounts {
		group.Go(func() { checks[i] = checkAccount(ctx, cfg, &accounts[i], len(accounts) == 1) })
	}
	group.Wait()
	return slices.Concat(checks...)
}

// checkAccount checks an account's token, that of the one without a name in two
// lines, and what it may do if it is good.
func checkAccount(ctx context.Context, cfg *config.Config, account *config.Account, only bool) []check {
	name, token := "sysdig", "sysdig token"
	if account.Tenant != "" {
		name = "sysdig tenant " + account.Tenant
		token = name
	}
	of, err := account.Resolve()
	if err != nil {
		return []check{result(token, "", err)}
	}
	c, err := sysdig.NewClient(of)
	if err != nil {
		return []check{result(token, "", err)}
	}
	user, err := c.Me(ctx)
	if err != nil {
		return []check{result(token, "", err)}
	}
	a := &accountChecks{c, cfg, name, only}
	agents, err := c.ConnectedAgents(ctx)
	whose := fmt.Sprintf("%s of customer %s (%s) at %s", user.Username, user.CustomerID, user.CustomerName, of.AppURL)
	connected := fmt.Sprintf("%d connected", len(agents))
	checks := []check{result(token, whose, nil), result(name+" agents", connected, err)}
	if account.Tenant != "" {
		checks = []check{result(token, whose+", agents: "+connected, err)}
	}
	actions, err := c.Actions(ctx)
	return append(checks, a.permissions(ctx, err), a.actions(actions, err), a.captures(ctx), a.events(ctx))
}

// permissions is what the token may do with response actions, as far as Sysdig
// tells it without carrying one out. Its public OpenAPI lets the catalogue be
// read with either permission to execute, and the executions with either to read.
func (a *accountChecks) permissions(ctx context.Context, catalogued error) check {
	name := a.name + " permissions"
	_, err := a.client.ExecutionsByCaller(ctx, "firebreak-setup")
	switch {
	case err != nil:
		return result(name, "", fmt.Errorf("an action could not be followed: %w", advised(err, "containment-response-actions.read and data-gathering-response-actions.read")))
	case catalogued != nil && !refused(catalogued):
		return warning(name, "may read executions; whether it may execute actions is not verified: "+catalogued.Error())
	case catalogued != nil:
		err = fmt.Errorf("no action could be executed: %w", advised(catalogued, catalogue.Containment.Permission()+" and "+catalogue.DataGathering.Permission()))
		if a.cfg.Worker.Mode == config.ModeObserve {
			return warning(name, err.Error()+" (mode observe executes none)")
		}
		return result(name, "", err)
	default:
		return result(name, fmt.Sprintf("may read executions, and execute actions by %s or %s; which of the two Sysdig does not tell: not verified",
			catalogue.Containment.Permission(), catalogue.DataGathering.Permission()), nil)
	}
}

// advised adds the permissions that a refused token lacks.
func advised(err error, permissions string) error {
	if !refused(err) {
		return err
	}
	return fmt.Errorf("%w; give the token's role %s", err, permissions)
}

// refused reports whether Sysdig denies something to the token.
func refused(err error) bool {
	e, ok := errors.AsType[*sysdig.Error](err)
	return ok && (e.StatusCode == http.StatusForbidden || e.StatusCode == http.StatusUnauthorized)
}

// actions compares the actions of the routes with Sysdig's own catalogue.
func (a *accountChecks) actions(offered []sysdig.ActionType, err error) check {
	name := a.name + " actions"
	if err != nil {
		return warning(name, "not verified: "+err.Error())
	}
	byName := map[string]*sysdig.ActionType{}
	for i := range offered {
		byName[offered[i].Name] = &offered[i]
	}
	var problems []string
	used := map[string]bool{}
	for i := range a.cfg.Routes {
		route := &a.cfg.Routes[i]
		for _, action := range actionsOf(route) {
			used[action] = true
			of, known := byName[action]
			if !known {
				problems = append(problems, fmt.Sprintf("route %s: Sysdig has no %s here", route.Name, action))
				continue
			}
			for _, p := range nowhere(route, of) {
				problems = append(problems, fmt.Sprintf("route %s: Sysdig wants %s of %s, and neither the route nor an incident has it", route.Name, p, action))
			}
		}
	}
	switch {
	case len(problems) > 0 && a.only:
		return result(name, "", errors.New(strings.Join(problems, "; ")))
	case len(problems) > 0:
		return warning(name, strings.Join(problems, "; "))
	default:
		return result(name, fmt.Sprintf("%d, among them all %d that the routes may ask for, with what they need", len(offered), len(used)), nil)
	}
}

// actionsOf are the actions that a route may ask for.
func actionsOf(route *incident.Route) []string {
	switch {
	case route.Playbook == signals.PlaybookCapture && route.Capture.Backend != incident.BackendResponseAction:
		return nil // it has an API of its own
	case route.Playbook == signals.PlaybookCapture:
		return []string{"CAPTURE"}
	case route.Playbook == signals.PlaybookCryptoMiner:
		return []string{"KILL_CONTAINER", "KILL_PROCESS"}
	case route.Action == incident.ActionAuto || route.Action == "":
		return []string{"FILE_QUARANTINE", "KILL_CONTAINER", "KILL_PROCESS"}
	default:
		return []string{route.Action}
	}
}

// nowhere are the parameters that Sysdig requires and nobody gives: neither the
// route, nor the table of actions by a default, nor an incident.
func nowhere(route *incident.Route, action *sysdig.ActionType) []string {
	if route.Playbook == signals.PlaybookCapture {
		return nil // the playbook gives them all
	}
	ours, known := catalogue.Find(action.Name)
	var names []string
	for _, p := range action.Parameters {
		_, given := route.Parameters[p.Name]
		if !p.Required || given {
			continue
		}
		if !known {
			ours = &catalogue.Action{}
		}
		mine, listed := ours.Parameter(p.Name)
		from := mine.From
		if !known {
			from = catalogue.From(p.Name)
		}
		if from == "" && (!listed || mine.Default == nil) {
			names = append(names, p.Name)
		}
	}
	return names
}

// captures tells whether captures can be followed. That one may be created is
// known only of one that was.
func (a *accountChecks) captures(ctx context.Context) check {
	name := a.name + " captures"
	now := time.Now()
	_, err := a.client.Captures(ctx, now.Add(-time.Minute), now)
	switch {
	case err == nil:
		return result(name, "may be read; whether the token may take one Sysdig does not tell: not verified", nil)
	case refused(err) && slices.ContainsFunc(a.cfg.Routes, takesCapture):
		return result(name, "", fmt.Errorf("a capture could not be followed: %w", err))
	default:
		return warning(name, "not verified: "+err.Error())
	}
}

// takesCapture reports whether a route takes captures by the API that is for them.
func takesCapture(route incident.Route) bool {
	return (route.Playbook == signals.PlaybookCapture || route.CaptureFirst) && route.Capture.Backend != incident.BackendResponseAction
}

// events tells whether incidents can be enriched, which they can do without.
func (a *accountChecks) events(ctx context.Context) check {
	name := a.name + " events"
	now := time.Now()
	if _, err := a.client.Events(ctx, now.Add(-time.Minute), now, "", 1); err != nil {
		return warning(name, "incidents are not completed from Sysdig's events: "+advised(err, "policy-events.read").Error())
	}
	return result(name, "may be read", nil)
}
