package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"firebreak/internal/config"
)

func TestSecretsAreLookedUpWhenTheyAreNeeded(t *testing.T) {
	t.Parallel()
	const text = `
sysdig: {token: "${TOKEN}"}
starter:
  sources:
    - {name: a, auth: {type: bearer, secrets: ["pre-${OLD}", "${NEW}"]}}
`
	c, err := load(t, text)
	require.NoError(t, err, "a process loads without the secrets of the others")
	_, err = c.Sysdig.Token.Resolve()
	require.ErrorContains(t, err, "firebreak.yaml:2:17: sysdig.token: environment variable TOKEN is not set")
	_, err = c.Starter.Sources[0].ResolveSecrets()
	require.ErrorContains(t, err, "source a: ")
	require.ErrorContains(t, err, "firebreak.yaml:5:48: starter.sources[0].auth.secrets[0]: environment variable OLD is not set")

	c, err = load(t, text, "TOKEN", "t", "OLD", "o", "NEW", "n")
	require.NoError(t, err)
	token, err := c.Sysdig.Token.Resolve()
	require.NoError(t, err)
	require.Equal(t, "t", token)
	secrets, err := c.Starter.Sources[0].ResolveSecrets()
	require.NoError(t, err)
	require.Equal(t, []string{"pre-o", "n"}, secrets)
}

func TestAnEmptySecretIsAnError(t *testing.T) {
	t.Parallel()
	c, err := load(t, `sysdig: {token: "${TOKEN}"}`, "TOKEN", "")
	require.NoError(t, err)
	_, err = c.Sysdig.Token.Resolve()
	require.ErrorContains(t, err, "firebreak.yaml:1:17: sysdig.token: ${TOKEN} is empty; want a value")
	c, err = load(t, `sysdig: {token: ""}`)
	require.NoError(t, err)
	_, err = c.Sysdig.Token.Resolve()
	require.ErrorContains(t, err, "sysdig.token: the value is empty")
}

func TestASecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
sysdig: {token: "hunter2"}
starter: {sources: [{name: a, auth: {type: bearer, secrets: ["hunter2", "hunter2-${X}"]}}]}
`, "X", "hunter2")
	require.NoError(t, err)
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed = append(printed, fmt.Sprintf(verb, *c), fmt.Sprintf(verb, c.Sysdig.Token), fmt.Sprintf(verb, &c.Starter.Sources[0]))
	}
	asJSON, err := json.Marshal(c)
	require.NoError(t, err)
	asYAML, err := yaml.Marshal(c)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("loaded", "token", c.Sysdig.Token, "config", c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("loaded", "token", c.Sysdig.Token, "config", c)
	printed = append(printed, string(asJSON), string(asYAML), log.String(), c.Sysdig.Token.String(), c.Sysdig.Token.GoString())
	for _, p := range printed {
		require.NotContains(t, p, "hunter2")
		require.NotContains(t, p, fmt.Sprintf("%x", "hunter2"))
	}
	require.Contains(t, string(asJSON), `"token":"********"`)
	require.Equal(t, "hunter2", must(t)(c.Sysdig.Token.Resolve()))
	require.Equal(t, "hunter2", must(t)(config.Literal("hunter2").Resolve()))
}

func must(t *testing.T) func(string, error) string {
	t.Helper()
	return func(s string, err error) string {
		require.NoError(t, err)
		return s
	}
}
