package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"firebreak/internal/incident"
	"firebreak/internal/redact"
	"firebreak/signals"
)

// report records that the value at path is wrong.
type report func(path, format string, args ...any)

// The limits of starter.max_body, in bytes. Sysdig's events are a few KiB each;
// the whole body is held in memory.
const (
	minBody = 1 << 10
	maxBody = 16 << 20
)

// plainName is what can stand in a URL's path as it is, and in an incident's ID.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// check reports everything that is wrong with the values.
func (c *Config) check(wrong report) {
	if c.Temporal.TaskQueue == "" {
		wrong("temporal.task_queue", "it is empty; want a name, like %s", signals.TaskQueue)
	}
	if _, _, err := c.SysdigURLs(); err != nil {
		wrong("sysdig.region", "%w", err)
	}
	checkURL("sysdig.app_url", c.Sysdig.AppURL, wrong)
	checkURL("sysdig.api_url", c.Sysdig.APIURL, wrong)
	c.checkTenants(wrong)
	checkListen("starter.listen", c.Starter.Listen, wrong)
	if err := CheckJournal(c.Starter.Journal); err != nil {
		wrong("starter.journal", "%q: %w", c.Starter.Journal, err)
	}
	checkListen("worker.metrics_listen", c.Worker.MetricsListen, wrong)
	if err := c.Worker.Mode.Check(); err != nil {
		wrong("worker.mode", "%q: %w", c.Worker.Mode, err)
	}
	if tls := c.Starter.TLS; (tls.Cert == "") != (tls.Key == "") {
		wrong("starter.tls", "want both cert and key, or neither")
	}
	if n := c.Worker.ActivitiesPerMinute; n < 0 {
		wrong("worker.activities_per_minute", "%d: want a number of activities, or 0 for no limit", n)
	}
	if n := c.Starter.MaxBody; n < minBody || n > maxBody {
		wrong("starter.max_body", "%d: want bytes, %d to %d", n, minBody, maxBody)
	}
	c.checkSources(wrong)
	c.checkCodec(wrong)
	if u, err := url.Parse(c.Evidence.URL); err != nil || u.Scheme == "" {
		wrong("evidence.url", "%q: want a URL, like file:///var/lib/firebreak/evidence", c.Evidence.URL)
	}
	checkURL("temporal.web_url", c.Temporal.WebURL, wrong)
	c.checkApprovals(wrong)
	c.checkGuard(wrong)
	c.checkNotify(wrong)
	c.checkHooks(wrong)
	c.checkRedact(wrong)
	c.checkRoutes(wrong)
}

func (c *Config) checkRedact(wrong report) {
	_, err := c.Redactor()
	for _, part := range parts(err) {
		var rule *redact.RuleError
		if errors.As(part, &rule) {
			wrong(fmt.Sprintf("redact[%d]", rule.Index), "%w", rule.Err)
		}
	}
}

func (c *Config) checkSources(wrong report) {
	first := map[string]int{}
	for i, s := range c.Starter.Sources {
		path := fmt.Sprintf("starter.sources[%d]", i)
		if !plainName.MatchString(s.Name) {
			wrong(path+".name", "%q: want letters, digits, dots, dashes and underscores: it is part of the webhook's URL", s.Name)
		} else if earlier, taken := first[s.Name]; taken {
			wrong(path+".name", "%q is the name of starter.sources[%d] too; want another", s.Name, earlier)
		} else {
			first[s.Name] = i
		}
		s.Auth.check(path+".auth", c.Starter.TLS != TLS{}, wrong)
		for n, text := range s.Allow {
			if _, err := parseNetwork(text); err != nil {
				wrong(fmt.Sprintf("%s.allow[%d]", path, n), "%q: %w", text, err)
			}
		}
		c.checkTenant(path+".tenant", &s, wrong)
	}
}

func (c *Config) checkApprovals(wrong report) {
	switch c.Approvals.Trust {
	case signals.TrustOpen:
	case signals.TrustListed, signals.TrustVerified:
		if len(c.Approvers().Analysts) == 0 {
			wrong("approvals.groups", "trust %s needs analysts; want groups with members, like {soc: [ann, bob]}", c.Approvals.Trust)
		}
	default:
		wrong("approvals.trust", "%q: want %s, %s or %s", c.Approvals.Trust, signals.TrustOpen, signals.TrustListed, signals.TrustVerified)
	}
	for _, group := range slices.Sorted(maps.Keys(c.Approvals.Groups)) {
		for i, name := range c.Approvals.Groups[group] {
			if name == "" {
				wrong(fmt.Sprintf("approvals.groups.%s[%d]", group, i), "it is empty; want an analyst's name")
			}
		}
	}
	for i := range c.Routes {
		c.checkApprovers(fmt.Sprintf("routes[%d].approval", i), c.Routes[i].Approval, wrong)
		c.checkApprovers(fmt.Sprintf("routes[%d].save_approval", i), c.Routes[i].SaveApproval, wrong)
	}
	for i := range c.Approvals.Policies {
		c.checkApprovers(fmt.Sprintf("approvals.policies[%d].approval", i), c.Approvals.Policies[i].Approval, wrong)
	}
	_, err := incident.NewApprovalPolicies(c.Approvals.Policies)
	for _, part := range parts(err) {
		var policy *incident.ApprovalPolicyError
		if errors.As(part, &policy) {
			wrong(fmt.Sprintf("approvals.policies[%d].%s", policy.Index, policy.Field), "%s", policy.Reason)
		} else {
			wrong("approvals.policies", "%w", part)
		}
	}
}

// checkApprovers checks that there are enough people to ask.
func (c *Config) checkApprovers(path string, a incident.Approval, wrong report) {
	for key, groups := range map[string][]string{"groups": a.Groups, "escalate_to": a.EscalateTo} {
		for i, group := range groups {
			if _, known := c.Approvals.Groups[group]; !known {
				wrong(fmt.Sprintf("%s.%s[%d]", path, key, i), "%q is no group; want one of approvals.groups, %s",
					group, strings.Join(slices.Sorted(maps.Keys(c.Approvals.Groups)), ", "))
			}
		}
	}
	if a.Mode != incident.ModeTwo || c.Approvals.Trust == signals.TrustOpen {
		return
	}
	approvers := c.Approvers()
	if n := len(approvers.Members(a.Groups)); n < 2 {
		wrong(path+".mode", "two: %d analysts may decide; want groups with two or more members", n)
	}
}

func (c *Config) checkGuard(wrong report) {
	_, err := incident.NewProtections(c.Guard.Protected)
	for _, part := range parts(err) {
		var protection *incident.ProtectionError
		if errors.As(part, &protection) {
			wrong(fmt.Sprintf("guard.protected[%d].%s", protection.Index, protection.Field), "%s", protection.Reason)
		} else {
			wrong("guard.protected", "%w", part)
		}
	}
	if n := len(c.Guard.Budgets); n > signals.MaxBudgets {
		wrong("guard.budgets", "there are %d; want at most %d", n, signals.MaxBudgets)
	}
	for i, budget := range c.Guard.Budgets {
		path := fmt.Sprintf("guard.budgets[%d]", i)
		if err := incident.CheckActionPattern(budget.Action); err != nil {
			wrong(path+".action", "%w, or * for all together", err)
		}
		if budget.Limit < 1 || budget.Limit > signals.MaxBudgetLimit {
			wrong(path+".limit", "%d: want 1 to %d; to have somebody asked every time, write an approval policy", budget.Limit, signals.MaxBudgetLimit)
		}
		if per := time.Duration(budget.Per); per < time.Second || per > signals.MaxBudgetPer {
			wrong(path+".per", "%s: want 1s to %s", per, signals.MaxBudgetPer)
		}
	}
}

// checkRoutes compiles the routes, and gives their errors their places.
func (c *Config) checkRoutes(wrong report) {
	_, err := incident.NewRouter(c.Routes)
	for _, part := range parts(err) {
		var route *incident.RouteError
		if !errors.As(part, &route) {
			wrong("routes", "%w", part)
			continue
		}
		wrong(fmt.Sprintf("routes[%d].%s", route.Index, route.Field), "%s", route.Reason)
	}
}

// parts are the errors that were joined, none for nil.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func checkListen(path, address string, wrong report) {
	_, port, err := net.SplitHostPort(address)
	if number, portErr := strconv.Atoi(port); err != nil || portErr != nil || number < 0 || number > 65535 {
		wrong(path, "%q: want HOST:PORT, like 127.0.0.1:8080; port 0 picks a free one", address)
	}
}

// CheckJournal refuses what is no directory of a journal: a URL, as the evidence
// store has one, the root of a file system or the working directory. Whether it
// can be written to is seen when it is opened.
func CheckJournal(directory string) error {
	clean := filepath.Clean(directory)
	if directory != "" && (strings.Contains(directory, "://") || filepath.Dir(clean) == clean) {
		return errors.New("want a directory of its own, like /var/lib/firebreak/journal")
	}
	return nil
}

func checkURL(path, text string, wrong report) {
	if text == "" {
		return
	}
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		wrong(path, "%q: want a URL, like https://us2.app.sysdig.com", text)
	}
}
