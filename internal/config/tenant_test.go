package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig"
)

// tenants is the section with two tenants, and more.
func tenants(more string) string {
	return `
sysdig:
  tenants:
    - {name: acme, region: eu1, token: "${ACME_TOKEN}"}
    - {name: umbrella, app_url: https://sysdig.umbrella.example, api_url: https://api.umbrella.example, token: hunter2}
` + more
}

const (
	everySourceHasATenant = `
starter:
  sources:
    - {name: a, auth: {type: none}, tenant: acme}
    - {name: b, auth: {type: none}, tenant: umbrella}
`
	oneSourceHasNone = `
starter:
  sources:
    - {name: a, auth: {type: none}, tenant: acme}
    - {name: ours, auth: {type: none}}
`
)

func TestEveryTenantIsAnAccountOfItsOwn(t *testing.T) {
	t.Parallel()
	acme := sysdig.Config{AppURL: "https://eu1.app.sysdig.com", APIURL: "https://api.eu1.sysdig.com", Token: "acme's"}
	umbrella := sysdig.Config{AppURL: "https://sysdig.umbrella.example", APIURL: "https://api.umbrella.example", Token: "hunter2"}
	own := sysdig.Config{AppURL: "https://us2.app.sysdig.com", APIURL: "https://api.us2.sysdig.com", Token: "ours"}
	elsewhere := own
	elsewhere.AppURL, elsewhere.APIURL = "https://sysdig.example.com", "https://sysdig.example.com"
	for name, test := range map[string]struct {
		text string
		env  []string
		want map[string]sysdig.Config
	}{
		"a source without a tenant has the section's own": {
			tenants(oneSourceHasNone),
			[]string{"SYSDIG_SECURE_API_TOKEN", "ours"},
			map[string]sysdig.Config{"": own, "acme": acme, "umbrella": umbrella},
		},
		"the section's own is there if its token is": {
			tenants(everySourceHasATenant),
			[]string{"SYSDIG_SECURE_API_TOKEN", "ours"},
			map[string]sysdig.Config{"": own, "acme": acme, "umbrella": umbrella},
		},
		"nobody needs the section's own": {
			tenants(everySourceHasATenant), nil, map[string]sysdig.Config{"acme": acme, "umbrella": umbrella},
		},
		"the section's own is left out": {
			tenants("  token: ''\n" + everySourceHasATenant),
			[]string{"SYSDIG_SECURE_API_TOKEN", "ours"},
			map[string]sysdig.Config{"acme": acme, "umbrella": umbrella},
		},
		"a variable moves the section's own only": {
			tenants(everySourceHasATenant),
			[]string{"SYSDIG_SECURE_API_TOKEN", "ours", "SYSDIG_SECURE_URL", "https://sysdig.example.com"},
			map[string]sysdig.Config{"": elsewhere, "acme": acme, "umbrella": umbrella},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, test.text, append(test.env, "ACME_TOKEN", "acme's")...)
			require.NoError(t, err)
			accounts, err := c.SysdigAccounts()
			require.NoError(t, err)
			got := map[string]sysdig.Config{}
			for _, account := range accounts {
				got[account.Tenant], err = account.Resolve()
				require.NoError(t, err)
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestATokenThatIsNeededMustBeThere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		env  []string
		want string
	}{
		"a tenant's": {
			tenants(everySourceHasATenant), nil,
			"firebreak.yaml:4:40: sysdig.tenants[0].token: environment variable ACME_TOKEN is not set",
		},
		"the section's own, for a source without a tenant": {
			tenants(oneSourceHasNone),
			[]string{"ACME_TOKEN", "acme's"},
			"sysdig.token: environment variable SYSDIG_SECURE_API_TOKEN is not set",
		},
		"the section's own, which somebody wrote down": {
			tenants("  token: ${OURS}\n" + everySourceHasATenant),
			[]string{"ACME_TOKEN", "acme's"},
			"firebreak.yaml:6:10: sysdig.token: environment variable OURS is not set",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, test.text, test.env...)
			require.NoError(t, err, "the starter needs none of them")
			accounts, err := c.SysdigAccounts()
			require.NoError(t, err)
			var failures []string
			for _, account := range accounts {
				if _, err := account.Resolve(); err != nil {
					failures = append(failures, err.Error())
				}
			}
			require.Len(t, failures, 1)
			require.Contains(t, failures[0], test.want)
		})
	}
}

func TestTheErrorOfATenantSaysWhereItIsAndWhatIsAccepted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string // one per line
	}{
		"no name": {
			`sysdig: {tenants: [{region: us2, token: hunter2}]}`,
			[]string{`:1:20: sysdig.tenants[0].name: "": want letters, digits, dots, dashes and underscores`},
		},
		"a name that is none": {
			`sysdig: {tenants: [{name: a/b, region: us2, token: hunter2}]}`,
			[]string{`:1:27: sysdig.tenants[0].name: "a/b": want letters`},
		},
		"two of a name": {
			`sysdig: {tenants: [{name: a, region: us2, token: hunter2}, {name: a, region: us4, token: hunter2}]}`,
			[]string{`:1:67: sysdig.tenants[1].name: "a" is the name of sysdig.tenants[0] too; want another`},
		},
		"neither region nor URL": {
			`sysdig: {tenants: [{name: a, api_url: "https://a.example", token: hunter2}]}`,
			[]string{`sysdig.tenants[0].region: sysdig region "": want one of us1, us2, us3, us4, eu1, eu2, au1, in1, jp1, me2, or app_url`},
		},
		"a region that is none": {
			`sysdig: {tenants: [{name: a, region: us9, token: hunter2}]}`,
			[]string{`:1:38: sysdig.tenants[0].region: sysdig region "us9": want one of us1`},
		},
		"URLs that are none": {
			`sysdig: {tenants: [{name: a, app_url: foo, api_url: bar, token: hunter2}]}`,
			[]string{`sysdig.tenants[0].app_url: "foo": want a URL`, `sysdig.tenants[0].api_url: "bar": want a URL`},
		},
		"no token": {
			`sysdig: {tenants: [{name: a, region: us2}]}`,
			[]string{`:1:20: sysdig.tenants[0].token: it is empty; want the tenant's token`},
		},
		"an unknown key": {
			`sysdig: {tenants: [{name: a, token_file: b}]}`,
			[]string{`:1:30: sysdig.tenants[0]: unknown key "token_file"; expected one of name, region, app_url, api_url, token`},
		},
		"a source of nobody": {
			tenants("starter: {sources: [{name: a, auth: {type: none}, tenant: acne}]}"),
			[]string{`:6:59: starter.sources[0].tenant: "acne" is no tenant; want one of sysdig.tenants, acme, umbrella, or none`},
		},
		"a source's tenant where there are none": {
			`starter: {sources: [{name: a, auth: {type: none}, tenant: acme}]}`,
			[]string{`:1:59: starter.sources[0].tenant: "acme": sysdig.tenants is empty; want it there, or no tenant`},
		},
		"a source without any account": {
			tenants("  token: ''\n" + oneSourceHasNone),
			[]string{`starter.sources[1].tenant: it is empty, and so is sysdig.token; want one of sysdig.tenants, acme, umbrella, or the token`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, test.text)
			require.Nil(t, c)
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(test.want), err)
			for i, want := range test.want {
				require.Contains(t, lines[i], want)
				require.NotContains(t, lines[i], "hunter2")
			}
		})
	}
}

func TestATenantsTokenIsNeverPrinted(t *testing.T) {
	t.Parallel()
	c, err := load(t, tenants(everySourceHasATenant))
	require.NoError(t, err)
	printed, err := c.YAML()
	require.NoError(t, err)
	require.NotContains(t, string(printed), "hunter2")
	require.Contains(t, string(printed), "token: ${ACME_TOKEN}")
	require.Contains(t, string(printed), `token: "********"`)
}
