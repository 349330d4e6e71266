package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"firebreak/internal/notify"
)

// Notifications are the channels of notifications, with their URLs looked up and
// checked; all that is wrong with them is reported together.
func (c *Config) Notifications() (notify.Config, error) {
	var problems []error
	resolve := func(path string, secrets []Secret) []notify.URL {
		var urls []notify.URL
		for i, secret := range secrets {
			value, err := secret.Resolve()
			if err == nil {
				if bad := notify.Check(value); bad != nil {
					err = secret.place.wrong("%w", bad)
				}
			}
			if err != nil {
				problems = append(problems, err)
				continue
			}
			urls = append(urls, notify.URL{Name: fmt.Sprintf("%s[%d]", path, i), Value: value})
		}
		return urls
	}
	named := func(path string, all map[string][]Secret) map[string][]notify.URL {
		urls := map[string][]notify.URL{}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			urls[name] = resolve(join(path, name), all[name])
		}
		return urls
	}
	n := notify.Config{
		URLs:   resolve("notify.urls", c.Notify.URLs),
		Routes: named("notify.routes", c.Notify.Routes),
		Groups: named("notify.groups", c.Notify.Groups),
		WebURL: c.Temporal.WebURL,
	}
	return n, errors.Join(problems...)
}

// checkNotify checks the URLs that are written out; others are checked when they
// are looked up.
func (c *Config) checkNotify(wrong report) {
	urls := func(path string, secrets []Secret) {
		for i, secret := range secrets {
			if !secret.literal() {
				continue
			}
			if err := notify.Check(secret.text); err != nil {
				wrong(fmt.Sprintf("%s[%d]", path, i), "%w", err)
			}
		}
	}
	urls("notify.urls", c.Notify.URLs)
	routes := make([]string, len(c.Routes))
	for i := range c.Routes {
		routes[i] = c.Routes[i].Name
	}
	for _, name := range slices.Sorted(maps.Keys(c.Notify.Routes)) {
		if !slices.Contains(routes, name) {
			wrong(join("notify.routes", name), "%q is no route; want one of routes: %s", name, strings.Join(routes, ", "))
		}
		urls(join("notify.routes", name), c.Notify.Routes[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Notify.Groups)) {
		if _, known := c.Approvals.Groups[name]; !known {
			wrong(join("notify.groups", name), "%q is no group; want one of approvals.groups: %s",
				name, strings.Join(slices.Sorted(maps.Keys(c.Approvals.Groups)), ", "))
		}
		urls(join("notify.groups", name), c.Notify.Groups[name])
	}
}
