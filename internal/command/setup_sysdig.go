package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// permissions compares what the token may do with what the routes need. It fails
// where a class of actions that a route uses cannot be executed or read.
func (a *accountChecks) permissions(ctx context.Context, catalogued error) check {
	name := a.name + " permissions"
	granted, err := a.client.Permissions(ctx)
	switch {
	case errors.Is(err, sysdig.ErrPermissionsUnknown):
		return a.unlisted(name, err, catalogued)
	case err != nil:
		return result(name, "", err)
	}
	missing, unsure := a.missing(granted)
	if len(missing) > 0 {
		err := fmt.Errorf("%s; give them to the token's role", strings.Join(missing, "; "))
		if a.cfg.Worker.Mode == config.ModeObserve {
			return warning(name, err.Error()+" (mode observe executes nothing)")
		}
		return result(name, "", err)
	}
	if len(unsure) > 0 {
		return warning(name, strings.Join(unsure, "; "))
	}
	var lacks []string
	for _, class := range catalogue.Classes() {
		for _, permission := range []string{class.Exec(), class.Read()} {
			if !granted.Has(permission) {
				lacks = append(lacks, permission)
			}
		}
	}
	if len(lacks) > 0 {
		return result(name, "all that the routes need; without "+strings.Join(lacks, ", "), nil)
	}
	return result(name, "may execute and read all classes of response actions", nil)
}

// missing says which permissions the routes need that the token lacks, and which
// they may need: no source says to which class Sysdig counts some actions.
func (a *accountChecks) missing(granted sysdig.Permissions) (missing, unsure []string) {
	need, may := map[string][]string{}, map[string][]string{}
	add := func(to map[string][]string, permission, action string) {
		if !granted.Has(permission) && !slices.Contains(to[permission], action) {
			to[permission] = append(to[permission], action)
		}
	}
	for i := range a.cfg.Routes {
		for _, name := range actionsOf(&a.cfg.Routes[i]) {
			action, known := catalogue.Find(name)
			if known {
				add(need, action.Class.Exec(), name)
				add(need, action.Class.Read(), name)
			}
			for _, class := range catalogue.VisibleBy(name, known && action.UndoneBy != "") {
				add(may, class.Read(), name)
			}
		}
	}
	for _, permission := range slices.Sorted(maps.Keys(need)) {
		missing = append(missing, fmt.Sprintf("%s is missing, which routes need for %s", permission, strings.Join(need[permission], ", ")))
	}
	for _, permission := range slices.Sorted(maps.Keys(may)) {
		unsure = append(unsure, fmt.Sprintf("%s is missing: without it an analyst is asked whenever the submission of %s is not answered",
			permission, strings.Join(may[permission], ", ")))
	}
	return missing, unsure
}

// unlisted is the check at a Sysdig that does not list the permissions: what can be
// found out without an action.
func (a *accountChecks) unlisted(name string, unknown, catalogued error) check {
	const consequence = "; an analyst is asked where the submission of an action is not answered, until the worker has read an execution of its class"
	if catalogued == nil || !refused(catalogued) {
		return warning(name, "not verified: "+unknown.Error()+consequence)
	}
	err := fmt.Errorf("no action could be executed: %w", advised(catalogued, catalogue.Containment.Exec()+" and "+catalogue.DataGathering.Exec()))
	if a.cfg.Worker.Mode == config.ModeObserve {
		return warning(name, err.Error()+" (mode observe executes nothing)")
	}
	return result(name, "", err)
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
	if len(offered) == 0 {
		problems = []string{"Sysdig offers no response action to this account: enable them in Sysdig Shield (features.respond.response_actions.enabled: true)"}
	}
	switch {
	case len(offered) == 0 && len(used) == 0:
		return warning(name, problems[0])
	case len(problems) > 0 && a.only:
		return result(name, "", errors.New(strings.Join(problems, "; ")))
	case len(problems) > 0:
		return warning(name, strings.Join(problems, "; "))
	default:
		return result(name, fmt.Sprintf("%d, among them all %d that the routes may ask for, with what they need", len(offered), len(used)), nil)
	}
}

// actionsOf are the response actions that a route may ask for. Captures have an API
// of their own, unless the route has them taken by an action.
func actionsOf(route *incident.Route) []string {
	var actions []string
	if route.Capture.Backend == incident.BackendResponseAction && (route.Playbook == signals.PlaybookCapture || route.CaptureFirst) {
		actions = append(actions, captureAction)
	}
	switch {
	case route.Playbook == signals.PlaybookCapture:
		return actions
	case route.Playbook == signals.PlaybookCryptoMiner:
		return append(actions, "KILL_CONTAINER", "KILL_PROCESS")
	case route.Action == incident.ActionAuto || route.Action == "":
		return append(actions, "FILE_QUARANTINE", "KILL_CONTAINER", "KILL_PROCESS")
	default:
		return append(actions, route.Action)
	}
}

// nowhere are the parameters that Sysdig requires and nobody gives: neither the
// route, nor the table of actions by a default, nor an incident.
func nowhere(route *incident.Route, action *sysdig.ActionType) []string {
	if action.Name == captureAction && route.Action != captureAction {
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
