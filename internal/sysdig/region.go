package sysdig

import (
	"fmt"
	"strings"
)

// region is a Sysdig SaaS region and its application host.
type region struct{ name, app string }

func (r region) appURL() string { return "https://" + r.app }
func (r region) apiURL() string { return "https://api." + r.name + ".sysdig.com" }

func regions() []region {
	return []region{
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
}

// APIURL returns the API host that goes with an application host: its region's,
// or, for a host of no region, such as one on premises, the same.
func APIURL(appURL string) string {
	for _, r := range regions() {
		if strings.TrimSuffix(appURL, "/") == r.appURL() {
			return r.apiURL()
		}
	}
	return appURL
}

// RegionURLs returns the two base URLs of a Sysdig SaaS region, as [Config]
// wants them. The names of the application hosts are those of Sysdig's own
// skills repository and Helm charts, which agree; Sysdig documents the API host
// as a pattern, with us1 to eu1 as examples, so it can be overridden in the
// configuration.
func RegionURLs(region string) (appURL, apiURL string, err error) {
	regions := regions()
	names := make([]string, len(regions))
	for i, r := range regions {
		if r.name == region {
			return r.appURL(), r.apiURL(), nil
		}
		names[i] = r.name
	}
	return "", "", fmt.Errorf("sysdig region %q: want one of %s", region, strings.Join(names, ", "))
}
