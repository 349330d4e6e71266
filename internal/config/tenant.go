package config

import (
	"fmt"
	"slices"
	"strings"

	"firebreak/internal/sysdig"
)

// Account is a Sysdig account that is acted on.
type Account struct {
	// Tenant is its name in sysdig.tenants, "" for the section's own.
	Tenant         string
	AppURL, APIURL string
	Token          Secret
}

// Resolve is the account with its token looked up.
func (a *Account) Resolve() (sysdig.Config, error) {
	token, err := a.Token.Resolve()
	if err != nil && a.Tenant != "" {
		err = fmt.Errorf("tenant %s: %w", a.Tenant, err)
	}
	return sysdig.Config{AppURL: a.AppURL, APIURL: a.APIURL, Token: token}, err
}

// SysdigAccounts are all accounts: the section's own first, if it is one, and the
// tenants in their order.
func (c *Config) SysdigAccounts() ([]Account, error) {
	var accounts []Account
	if c.ownAccount() {
		app, api, err := c.SysdigURLs()
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, Account{AppURL: app, APIURL: api, Token: c.Sysdig.Token})
	}
	for _, t := range c.Sysdig.Tenants {
		app, api, err := hosts(t.Region, t.AppURL, t.APIURL)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
		accounts = append(accounts, Account{Tenant: t.Name, AppURL: app, APIURL: api, Token: t.Token})
	}
	return accounts, nil
}

// SysdigURLs are the two hosts of the section's own account. A URL that is
// written out wins, then SYSDIG_SECURE_URL, then the region.
func (c *Config) SysdigURLs() (app, api string, err error) {
	app = c.Sysdig.AppURL
	if app == "" {
		app = c.Sysdig.SecureURL
	}
	return hosts(c.Sysdig.Region, app, c.Sysdig.APIURL)
}

// hosts are the two hosts of an account. An API URL that is not written out goes
// with the application's, so that a token is never sent to a region that nobody
// named.
func hosts(region, app, api string) (string, string, error) {
	if app == "" {
		var err error
		if app, _, err = sysdig.RegionURLs(region); err != nil {
			return "", "", err
		}
	}
	if api == "" {
		api = sysdig.APIURL(app)
	}
	return app, api, nil
}

// ownAccount reports whether the section itself is an account. It must be, unless
// every source names a tenant; then it is if its token is there. A token that
// somebody wrote down is not taken for absent because it cannot be looked up.
func (c *Config) ownAccount() bool {
	token := c.Sysdig.Token
	switch {
	case len(c.Sysdig.Tenants) == 0, slices.ContainsFunc(c.Starter.Sources, func(s Source) bool { return s.Tenant == "" }):
		return true
	case token.place.file == defaultName:
		_, err := token.Resolve()
		return err == nil
	default:
		return token.text != ""
	}
}

func (c *Config) checkTenants(wrong report) {
	first := map[string]int{}
	for i, t := range c.Sysdig.Tenants {
		path := fmt.Sprintf("sysdig.tenants[%d]", i)
		if !plainName.MatchString(t.Name) {
			wrong(path+".name", "%q: want letters, digits, dots, dashes and underscores: it is part of the IDs of incidents", t.Name)
		} else if earlier, taken := first[t.Name]; taken {
			wrong(path+".name", "%q is the name of sysdig.tenants[%d] too; want another", t.Name, earlier)
		} else {
			first[t.Name] = i
		}
		if _, _, err := hosts(t.Region, t.AppURL, t.APIURL); err != nil {
			wrong(path+".region", "%w, or app_url", err)
		}
		checkURL(path+".app_url", t.AppURL, wrong)
		checkURL(path+".api_url", t.APIURL, wrong)
		if t.Token.text == "" {
			wrong(path+".token", "it is empty; want the tenant's token, like ${ACME_SYSDIG_TOKEN}")
		}
	}
}

// checkTenant checks that there is an account that a source belongs to.
func (c *Config) checkTenant(path string, s *Source, wrong report) {
	names := make([]string, len(c.Sysdig.Tenants))
	for i, t := range c.Sysdig.Tenants {
		names[i] = t.Name
	}
	switch {
	case s.Tenant == "" && len(names) > 0 && c.Sysdig.Token.text == "":
		wrong(path, "it is empty, and so is sysdig.token; want one of sysdig.tenants, %s, or the token of the account without a name",
			strings.Join(names, ", "))
	case s.Tenant != "" && len(names) == 0:
		wrong(path, "%q: sysdig.tenants is empty; want it there, or no tenant", s.Tenant)
	case s.Tenant != "" && !slices.Contains(names, s.Tenant):
		wrong(path, "%q is no tenant; want one of sysdig.tenants, %s, or none", s.Tenant, strings.Join(names, ", "))
	}
}
