package sysdig

import (
	"fmt"
	"strings"
)

// RegionURLs returns the two base URLs of a Sysdig SaaS region, as [Config]
// wants them. The names of the application hosts are those of Sysdig's own
// skills repository and Helm charts, which agree; Sysdig documents the API host
// as a pattern, with us1 to eu1 as examples, so it can be overridden in the
// configuration.
func RegionURLs(region string) (appURL, apiURL string, err error) {
	regions := []struct{ name, app string }{
		{"us1", "secure.sysdig.com"},
		{"us2", "us2.app.sysdig.com"},
		{"us3", "app.us3.sysdig.com"},
		{"us4", "app.us4.sysdig.com"},
		{"eu1", "eu1.app.sysdig.com"},
		{"eu2", "app.eu2.sysdig.com"},
		{"au1", "app.au1.sysdig.com"},
		{"in1", "app.in1.sysdig.com"},
		{"jp1", "app.jp1.sysdig.com"},
		{"me2", "app.me2.sysdig.com"},
	}
	names := make([]string, len(regions))
	for i, r := range regions {
		if r.name == region {
			return "https://" + r.app, "https://api." + r.name + ".sysdig.com", nil
		}
		names[i] = r.name
	}
	return "", "", fmt.Errorf("sysdig region %q: want one of %s", region, strings.Join(names, ", "))
}
