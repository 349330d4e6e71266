package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/notify"
)

func TestTheURLsOfNotificationsAreLookedUpWithTheirPlaces(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
temporal: {web_url: "https://temporal.example.com"}
approvals: {groups: {soc: [ann]}}
notify:
  urls: ["${ONE}", "generic+https://hooks.example.com/two"]
  routes: {capture: ["${ONE}"]}
  groups: {soc: ["generic+https://${HOST}/three"]}
`, "ONE", "generic+https://hooks.example.com/one", "HOST", "hooks.example.com")
	require.NoError(t, err)
	n, err := c.Notifications()
	require.NoError(t, err)
	require.Equal(t, "https://temporal.example.com", n.WebURL)
	require.Equal(t, []notify.URL{
		{Name: "notify.urls[0]", Value: "generic+https://hooks.example.com/one"},
		{Name: "notify.urls[1]", Value: "generic+https://hooks.example.com/two"},
	}, n.URLs)
	require.Equal(t, map[string][]notify.URL{"capture": {{Name: "notify.routes.capture[0]", Value: "generic+https://hooks.example.com/one"}}}, n.Routes)
	require.Equal(t, map[string][]notify.URL{"soc": {{Name: "notify.groups.soc[0]", Value: "generic+https://hooks.example.com/three"}}}, n.Groups)
}

func TestABadURLOfNotificationsIsReportedAtItsPlaceWhenItIsLookedUp(t *testing.T) {
	t.Parallel()
	c, err := load(t, "notify:\n  urls: ['${ONE}', '${TWO}']\n  routes: {capture: ['${ONE}']}", "ONE", "slack://planted-secret")
	require.NoError(t, err, "nothing secret is needed to load")
	_, err = c.Notifications()
	require.ErrorContains(t, err, ":2:10: notify.urls[0]: slack: invalid slack token format; want a URL of shoutrrr")
	require.ErrorContains(t, err, ":2:20: notify.urls[1]: environment variable TWO is not set")
	require.ErrorContains(t, err, ":3:22: notify.routes.capture[0]: slack: ")
	require.NotContains(t, err.Error(), "planted-secret")
}
