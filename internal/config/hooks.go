package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"firebreak/internal/catalogue"
	"firebreak/internal/hooks"
	"firebreak/internal/incident"
	"firebreak/signals"
)

// Hook is a request to another vendor, which routes name in on_opened,
// on_contained and on_closed.
type Hook struct {
	// Method is POST, PUT or PATCH. Default: POST.
	Method string `yaml:"method" json:"method"`
	// URL is absolute. It and the headers are looked up anew for each call.
	URL     Secret            `yaml:"url" json:"url"`
	Headers map[string]Secret `yaml:"headers,omitempty" json:"headers,omitempty"`
	// Body is a [hooks.Template]. Default: all there is to tell.
	Body string `yaml:"body" json:"body"`
	// Timeout bounds an attempt. Default: 10s.
	Timeout incident.Duration `yaml:"timeout" json:"timeout"`
}

func (h Hook) withDefaults() Hook {
	h.Method = cmp.Or(h.Method, hooks.Methods()[0])
	h.Body = cmp.Or(h.Body, hooks.DefaultBody)
	h.Timeout = cmp.Or(h.Timeout, incident.Duration(hooks.DefaultTimeout))
	return h
}

// isHookBody reports whether a path is that of a hook's body, whose "${" means
// nothing: it would put a secret into a text that is shown.
func isHookBody(path string) bool {
	return strings.HasPrefix(path, "hooks.") && strings.HasSuffix(path, ".body")
}

// moments are the hooks that a route names, by when they are called.
func moments(r *incident.Route) map[hooks.Moment][]string {
	return map[hooks.Moment][]string{hooks.Opened: r.OnOpened, hooks.Contained: r.OnContained, hooks.Closed: r.OnClosed}
}

// ResolveHooks are the hooks, with the routes that call them. Their URLs and
// headers were looked up and checked; all that is wrong with them is reported
// together.
func (c *Config) ResolveHooks() ([]hooks.Hook, error) {
	var all []hooks.Hook
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(c.Hooks)) {
		of := c.Hooks[name]
		body, err := hooks.Parse(of.Body)
		if err != nil {
			return nil, fmt.Errorf("hook %s: body: %w", name, err) // Load has checked it
		}
		h := hooks.Hook{
			Name: name, Method: of.Method, URL: of.URL, Headers: map[string]hooks.Secret{}, Body: body,
			Timeout: time.Duration(of.Timeout), Routes: map[hooks.Moment][]string{},
		}
		problems = append(problems, of.URL.checkAs(checkHookURL))
		for _, header := range slices.Sorted(maps.Keys(of.Headers)) {
			problems = append(problems, of.Headers[header].checkAs(AuthHeader.checkSecret))
			h.Headers[header] = of.Headers[header]
		}
		for i := range c.Routes {
			for moment, names := range moments(&c.Routes[i]) {
				if slices.Contains(names, name) {
					h.Routes[moment] = append(h.Routes[moment], c.Routes[i].Name)
				}
			}
		}
		all = append(all, h)
	}
	return all, errors.Join(problems...)
}

// checkAs looks a secret up and checks it.
func (s Secret) checkAs(check func(string) error) error {
	value, err := s.Resolve()
	if err != nil {
		return err
	}
	if err := check(value); err != nil {
		return s.place.wrong("%s: %w", s, err)
	}
	return nil
}

// checkHooks checks what is written out; what is looked up is checked then.
func (c *Config) checkHooks(wrong report) {
	for _, name := range slices.Sorted(maps.Keys(c.Hooks)) {
		path := join("hooks", name)
		if !plainName.MatchString(name) {
			wrong(path, "%q: want a name of letters, digits, dots, dashes and underscores", name)
		}
		c.Hooks[name].check(path, wrong)
	}
	for i := range c.Routes {
		c.checkCalls(i, wrong)
	}
}

func (h Hook) check(path string, wrong report) {
	if h.Method != "" && !slices.Contains(hooks.Methods(), h.Method) {
		wrong(path+".method", "%q: want one of %s", h.Method, strings.Join(hooks.Methods(), ", "))
	}
	if h.URL.text == "" {
		wrong(path+".url", "it is missing; want a URL, like https://jira.example.com/rest/api/2/issue")
	} else if h.URL.literal() {
		if err := checkHookURL(h.URL.text); err != nil {
			wrong(path+".url", "%w", err)
		}
	}
	canonical := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		at, key := join(path+".headers", name), http.CanonicalHeaderKey(name)
		switch {
		case !headerName.MatchString(name):
			wrong(at, "%q: want the name of a header, like Authorization", name)
		case slices.Contains(hooks.Own(), key):
			wrong(at, "Firebreak writes this header itself; want it left out")
		case canonical[key] != "":
			wrong(at, "%s is the same header; want it once", canonical[key])
		}
		canonical[key] = name
		if value := h.Headers[name]; value.text == "" {
			wrong(at, "it is empty; want a value, like Bearer ${TOKEN}")
		} else if value.literal() {
			if err := AuthHeader.checkSecret(value.text); err != nil {
				wrong(at, "%w", err)
			}
		}
	}
	if found := reference.FindString(h.Body); found != "" {
		wrong(path+".body", "%s: a body is shown, and takes no secret; want it in url or headers", found)
	} else if h.Body != "" {
		if _, err := hooks.Parse(h.Body); err != nil {
			wrong(path+".body", "%w; want JSON with {{.incident.rule.name}} and the like in it", err)
		}
	}
	if d := time.Duration(h.Timeout); d != 0 && (d < time.Millisecond || d > hooks.MaxTimeout) {
		wrong(path+".timeout", "%s: want 1ms to %s", d, hooks.MaxTimeout)
	}
}

// checkCalls checks the hooks that a route names.
func (c *Config) checkCalls(index int, wrong report) {
	route := &c.Routes[index]
	for moment, names := range moments(route) {
		path := fmt.Sprintf("routes[%d].on_%s", index, moment)
		if moment == hooks.Contained && len(names) > 0 && route.Playbook == signals.PlaybookCapture {
			wrong(path, "playbook %s contains nothing, and would never call it; want it left out", route.Playbook)
		}
		if action, known := catalogue.Find(route.Action); known && moment == hooks.Contained && len(names) > 0 && !action.Contains() {
			wrong(path, "%s contains nothing, and would never call it; want it left out", action.Name)
		}
		for i, name := range names {
			at := fmt.Sprintf("%s[%d]", path, i)
			if _, known := c.Hooks[name]; !known {
				wrong(at, "%q is no hook; want one of hooks: %s", name, strings.Join(slices.Sorted(maps.Keys(c.Hooks)), ", "))
			} else if slices.Index(names, name) < i {
				wrong(at, "%q is there twice; want it once", name)
			}
		}
	}
}

// checkHookURL does not quote the URL, which may hold a secret.
func checkHookURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("it is no absolute URL; want one like https://jira.example.com/rest/api/2/issue")
	}
	return nil
}
