package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/config"
)

func TestEveryAuthenticationTypeIsConfiguredByItsOwnKeys(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
starter:
  tls: {cert: server.pem, key: server.key}
  max_body: 2097152
  sources:
    - {name: lab, auth: {type: none}, allow: ["203.0.113.0/24", "2001:db8::/32", "192.0.2.7", "::1"]}
    - {name: sysdig, auth: {type: bearer, secrets: ["${OLD}", "${NEW}"]}}
    - {name: basic, auth: {type: basic, secrets: ["sysdig:hunter2"]}}
    - {name: signed, auth: {type: signature, secrets: ["${KEY}"]}}
    - {name: github, auth: {type: signature, secrets: ["${KEY}"], header: X-Hub-Signature-256, prefix: "sha256=", encoding: base64}}
    - {name: kick, auth: {type: header, secrets: ["${KEY}"], header: X-Token}}
    - {name: splunk, auth: {type: path, secrets: ["${KEY}"]}}
    - {name: falco, auth: {type: mtls, client_ca: clients.pem, names: [falco.example.com]}}
`)
	require.NoError(t, err)
	s := c.Starter
	require.Equal(t, config.TLS{Cert: "server.pem", Key: "server.key"}, s.TLS)
	require.Equal(t, 2<<20, s.MaxBody)
	networks, err := s.Sources[0].Networks()
	require.NoError(t, err)
	require.Len(t, networks, 4)
	require.Equal(t, "192.0.2.7/32", networks[2].String())
	require.Equal(t, "::1/128", networks[3].String())
	require.Equal(t, "X-Signature", s.Sources[3].Auth.Header, "what a signature leaves out has a default")
	require.Equal(t, config.EncodingHex, s.Sources[3].Auth.Encoding)
	require.Empty(t, s.Sources[3].Auth.Prefix)
	require.Equal(t, "X-Hub-Signature-256", s.Sources[4].Auth.Header)
	require.Equal(t, config.EncodingBase64, s.Sources[4].Auth.Encoding)
	require.Empty(t, s.Sources[1].Auth.Header, "and no other type has it")
	require.Equal(t, []string{"falco.example.com"}, s.Sources[7].Auth.Names)
}

// Each mistake names what is wrong and what the type takes.
func TestAMistakeInAnAuthenticationIsReportedAtItsPlace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ source, want string }{
		"no auth":                     {`{name: a}`, `:1:21: starter.sources[0].auth: it is missing; want {type: bearer`},
		"auth without a type":         {`{name: a, auth: {secrets: [x]}}`, `:1:37: starter.sources[0].auth: it is missing; want {type: bearer`},
		"prefix with bearer":          {`{name: a, auth: {type: bearer, secrets: [x], prefix: y}}`, `:1:74: starter.sources[0].auth.prefix: auth type bearer does not take it; want only type, secrets`},
		"header with path":            {`{name: a, auth: {type: path, secrets: [x], header: y}}`, `auth.header: auth type path does not take it; want only type, secrets`},
		"encoding with header":        {`{name: a, auth: {type: header, secrets: [x], header: y, encoding: hex}}`, `auth.encoding: auth type header does not take it; want only type, secrets, header`},
		"names with basic":            {`{name: a, auth: {type: basic, secrets: ["a:b"], names: [y]}}`, `auth.names: auth type basic does not take it`},
		"authority with signature":    {`{name: a, auth: {type: signature, secrets: [x], client_ca: y}}`, `auth.client_ca: auth type signature does not take it; want only type, secrets, header, prefix, encoding`},
		"secrets with mtls":           {`{name: a, auth: {type: mtls, client_ca: y, secrets: [x]}}`, `auth.secrets: auth type mtls does not take it; want only type, client_ca, names`},
		"header without its name":     {`{name: a, auth: {type: header, secrets: [x]}}`, `auth.header: it is missing; auth type header needs secrets, header`},
		"basic without secret":        {`{name: a, auth: {type: basic}}`, `auth.secrets: it is missing; auth type basic needs secrets`},
		"signature without secret":    {`{name: a, auth: {type: signature}}`, `auth.secrets: it is missing`},
		"path without secret":         {`{name: a, auth: {type: path, secrets: []}}`, `auth.secrets: it is missing`},
		"mtls without authority":      {`{name: a, auth: {type: mtls}}`, `auth.client_ca: it is missing; auth type mtls needs client_ca`},
		"empty bearer":                {`{name: a, auth: {type: bearer, secrets: [""]}}`, `:1:62: starter.sources[0].auth.secrets[0]: it is empty; want a secret`},
		"empty basic":                 {`{name: a, auth: {type: basic, secrets: ["a:b", ""]}}`, `auth.secrets[1]: it is empty`},
		"empty signature":             {`{name: a, auth: {type: signature, secrets: [""]}}`, `auth.secrets[0]: it is empty`},
		"empty header":                {`{name: a, auth: {type: header, header: X, secrets: [""]}}`, `auth.secrets[0]: it is empty`},
		"empty path":                  {`{name: a, auth: {type: path, secrets: [""]}}`, `auth.secrets[0]: it is empty`},
		"null for a secret":           {`{name: a, auth: {type: path, secrets: [null]}}`, `auth.secrets[0]: it is empty`},
		"blank secret":                {`{name: a, auth: {type: signature, secrets: ["  "]}}`, `auth.secrets[0]: it is blank`},
		"secret that ends in a blank": {`{name: a, auth: {type: bearer, secrets: ["x "]}}`, `auth.secrets[0]: it begins or ends with a blank`},
		"basic without a colon":       {`{name: a, auth: {type: basic, secrets: [CANARY]}}`, `auth.secrets[0]: it is no user with a password; want user:password`},
		"basic without a password":    {`{name: a, auth: {type: basic, secrets: ["CANARY:"]}}`, `auth.secrets[0]: it is no user with a password`},
		"path with a slash":           {`{name: a, auth: {type: path, secrets: [CAN/ARY]}}`, `auth.secrets[0]: it does not stand in a URL as it is`},
		"path of dots":                {`{name: a, auth: {type: path, secrets: [".."]}}`, `auth.secrets[0]: it does not stand in a URL as it is`},
		"three secrets":               {`{name: a, auth: {type: path, secrets: [x, y, z]}}`, `auth.secrets: 3 secrets; want one, or 2 while they are rotated`},
		"header with a blank":         {`{name: a, auth: {type: header, secrets: [x], header: "X Token"}}`, `auth.header: "X Token": want the name of a header`},
		"unknown encoding":            {`{name: a, auth: {type: signature, secrets: [x], encoding: base32}}`, `auth.encoding: "base32": want hex or base64`},
		"mtls without TLS":            {`{name: a, auth: {type: mtls, client_ca: y}}`, `:1:44: starter.sources[0].auth.type: auth type mtls: want starter.tls: {cert: FILE, key: FILE} with it`},
		"certificate without a name":  {`{name: a, auth: {type: mtls, client_ca: y, names: ['']}}`, `auth.names[0]: it is empty`},
		"no network":                  {`{name: a, auth: {type: none}, allow: [example.com]}`, `:1:59: starter.sources[0].allow[0]: "example.com": want a network or an address, like 203.0.113.0/24`},
		"a network's host":            {`{name: a, auth: {type: none}, allow: [203.0.113.5/24]}`, `allow[0]: "203.0.113.5/24": want its network, 203.0.113.0/24, or the address 203.0.113.5 alone`},
		"a mapped network":            {`{name: a, auth: {type: none}, allow: ["::ffff:203.0.113.0/120"]}`, `want it written as IPv4`},
		"a mapped address":            {`{name: a, auth: {type: none}, allow: ["::ffff:203.0.113.5"]}`, `want it written as IPv4`},
		"an address of an interface":  {`{name: a, auth: {type: none}, allow: ["fe80::1%eth0"]}`, `want a network or an address`},
		"too many bits":               {`{name: a, auth: {type: none}, allow: ["192.0.2.0/33"]}`, `want a network or an address`},
		"an empty address":            {`{name: a, auth: {type: none}, allow: ['']}`, `allow[0]: "": want a network or an address`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, "starter: {sources: ["+tc.source+"]}")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "CANARY")
		})
	}
}

func TestAMistakeInTheServerIsReportedAtItsPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"starter: {tls: {cert: a}}":        `:1:16: starter.tls: want both cert and key, or neither`,
		"starter: {tls: {key: a}}":         `starter.tls: want both cert and key`,
		"starter: {tls: {ca: a}}":          `starter.tls: unknown key "ca"; expected one of cert, key`,
		"starter: {max_body: 1023}":        `:1:21: starter.max_body: 1023: want bytes, 1024 to 16777216`,
		"starter: {max_body: 16777217}":    `starter.max_body: 16777217: want`,
		"starter: {max_body: 1MiB}":        `starter.max_body: found text; want a whole number`,
		"starter: {journal: 's3://x/y'}":   `:1:20: starter.journal: "s3://x/y": want a directory of its own, like /var/lib/firebreak/journal`,
		"starter: {journal: /}":            `starter.journal: "/": want a directory of its own`,
		"starter: {journal: .}":            `starter.journal: ".": want a directory of its own`,
		"starter: {journal: '/x/../..//'}": `starter.journal: "/x/../..//": want a directory of its own`,
	} {
		_, err := load(t, text)
		require.ErrorContains(t, err, want, text)
	}
	c, err := load(t, "starter: {journal: /var/lib/firebreak/journal, max_body: 1024}")
	require.NoError(t, err)
	require.Equal(t, "/var/lib/firebreak/journal", c.Starter.Journal)
}

func TestASecretIsCheckedWhenItIsLookedUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ auth, value, want string }{
		"unset":                     {`{type: header, header: X, secrets: ["${S}"]}`, "", "${S} is empty; want a value"},
		"blank":                     {`{type: path, secrets: ["${S}"]}`, " ", "${S}: it is blank; want a secret"},
		"no user with a password":   {`{type: basic, secrets: ["${S}"]}`, "CANARY", "${S}: it is no user with a password; want user:password"},
		"with a line break":         {`{type: bearer, secrets: ["${S}"]}`, "CAN\nARY", "${S}: it begins or ends with a blank, or holds a line break"},
		"in no URL":                 {`{type: path, secrets: ["${S}"]}`, "CANARY?", "${S}: it does not stand in a URL as it is"},
		"mixed with a literal part": {`{type: path, secrets: ["CANARY-${S}"]}`, "/", "********: it does not stand in a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, "starter: {sources: [{name: a, auth: "+tc.auth+"}]}", "S", tc.value)
			require.NoError(t, err)
			_, err = c.Starter.Sources[0].ResolveSecrets()
			require.ErrorContains(t, err, "source a: ")
			require.ErrorContains(t, err, "firebreak.yaml:1:")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "CANARY")
			var problem *config.Error
			require.ErrorAs(t, err, &problem)
		})
	}
}

func TestASecretComesFromAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	c, err := load(t, `starter: {sources: [{name: a, auth: {type: bearer, secrets: ["${file:`+path+`}"]}}]}`)
	require.NoError(t, err, "a file is read when the secret is needed")
	source := c.Starter.Sources[0]
	require.Equal(t, "${file:"+path+"}", source.Auth.Secrets[0].String(), "where a secret is, is no secret")

	_, err = source.ResolveSecrets()
	require.ErrorContains(t, err, "firebreak.yaml:1:62: starter.sources[0].auth.secrets[0]: read secret: open "+path)
	require.ErrorIs(t, err, os.ErrNotExist)

	for content, want := range map[string]string{"s3cret": "s3cret", "s3cret\n": "s3cret", "s3cret\r\n": "s3cret"} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		secrets, err := source.ResolveSecrets()
		require.NoError(t, err)
		require.Equal(t, []string{want}, secrets)
	}
	require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
	_, err = source.ResolveSecrets()
	require.ErrorContains(t, err, "${file:"+path+"} is empty; want a value")
	require.NoError(t, os.WriteFile(path, []byte("two\nlines"), 0o600))
	_, err = source.ResolveSecrets()
	require.ErrorContains(t, err, "holds a line break")
}

func TestTheMaskOfASecretIsNoSecret(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"bearer", "basic", "path"} {
		c, err := load(t, `starter: {sources: [{name: a, auth: {type: `+kind+`, secrets: ["`+strings.Repeat("*", 8)+`"]}}]}`)
		require.NoError(t, err, "what is printed loads")
		_, err = c.Starter.Sources[0].ResolveSecrets()
		require.ErrorContains(t, err, "it is the mask that stands for a secret", "but nothing starts with it")
	}
}
