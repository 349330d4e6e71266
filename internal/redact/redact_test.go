package redact_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/incident"
	"firebreak/internal/redact"
)

func redactor(t *testing.T, rules ...string) *redact.Redactor {
	t.Helper()
	r, err := redact.New(rules)
	require.NoError(t, err)
	return r
}

func TestSecretsOfCommandLinesAreTakenOut(t *testing.T) {
	t.Parallel()
	r := redactor(t, redact.Secrets)
	for text, want := range map[string]string{
		`psql --password=hunter2 -h db`:                             `psql --password=[redacted] -h db`,
		`tool --password hunter2 --verbose`:                         `tool --password [redacted] --verbose`,
		`tool --db-password="hunter2 and more" x`:                   `tool --db-password="[redacted]" x`,
		`tool --password='hunter2'`:                                 `tool --password='[redacted]'`,
		`tool --password=a,b;c&d`:                                   `tool --password=[redacted]`,
		`tool -token hunter2`:                                       `tool -token [redacted]`,
		`mysql -uroot -phunter2 shop`:                               `mysql -uroot -p[redacted] shop`,
		`mysqldump -p'hunter 2' shop`:                               `mysqldump -p'[redacted]' shop`,
		`sshpass -p hunter2 ssh db`:                                 `sshpass -p [redacted] ssh db`,
		`redis-cli -h r -a hunter2 ping`:                            `redis-cli -h r -a [redacted] ping`,
		`curl -u ann:hunter2 https://x`:                             `curl -u ann:[redacted] https://x`,
		`curl -H "Authorization: Bearer hunter2" x`:                 `curl -H "Authorization: [redacted]" x`,
		`curl -H 'authorization: hunter2' x`:                        `curl -H 'authorization: [redacted]' x`,
		`{"authorization":"Basic aHVudGVyMg=="}`:                    `{"authorization":"[redacted]"}`,
		`PGPASSWORD=hunter2 psql`:                                   `PGPASSWORD=[redacted] psql`,
		`MYSQL_PWD=hunter2 mysql`:                                   `MYSQL_PWD=[redacted] mysql`,
		`AWS_SECRET_ACCESS_KEY=hunter2 aws`:                         `AWS_SECRET_ACCESS_KEY=[redacted] aws`,
		`key AKIAIOSFODNN7EXAMPLE used`:                             `key [redacted] used`,
		`wget https://x/y?token=hunter2`:                            `wget https://x/y?token=[redacted]`,
		`git clone https://ann:hunter2@git.example.com/x`:           `git clone https://ann:[redacted]@git.example.com/x`,
		`amqp://u:p@ss@mq:5672/`:                                    `amqp://u:[redacted]@mq:5672/`,
		`{"password": "hunter2", "user": "ann"}`:                    `{"password": "[redacted]", "user": "ann"}`,
		`{\"password\":\"hunter2\",\"user\":\"ann\"}`:               `{\"password\":\"[redacted]\",\"user\":\"ann\"}`,
		`gh auth ghp_0123456789012345678901234567890123456789`:      `gh auth [redacted]`,
		`x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2ln y`: `x [redacted] y`,
		"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA":        "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA",
		`export DB_PASS=hunter2 x`:                                  `export DB_PASS=[redacted] x`,
		`tool --password "a \"b hunter2\"" x`:                       `tool --password "[redacted]" x`,
		`tool --password="hunter2 is cut o`:                         `tool --password="[redacted]`,
		`tool --password='hunter2 is cut o`:                         `tool --password='[redacted]`,
		`tool --password="hunter2\" x`:                              `tool --password="[redacted]`,
		`sh -c 'tool --password=$'hunter2 x' y'`:                    `sh -c 'tool --password=$'[redacted]' y'`,
		`'tool' '--password' 'hunter2' 'x'`:                         `'tool' '--password' '[redacted]' 'x'`,
		`["tool","--password","hunter2","x"]`:                       `["tool","--password","[redacted]","x"]`,
		`{\"cmd\":[\"--password\", \"hunter2\"]}`:                   `{\"cmd\":[\"--password\", \"[redacted]\"]}`,
		`curl -sku ann:hunter2 https://x`:                           `curl -sku ann:[redacted] https://x`,
		`docker login -u ann -p hunter2 reg`:                        `docker login -u ann -p [redacted] reg`,
		`sh -c echo "root:hunter2" | chpasswd`:                      `sh -c echo "root:[redacted]" | chpasswd`,
		// Not every word is a secret.
		`docker run -p 8080:80 x`:               `docker run -p 8080:80 x`,
		`pass through bypass=1`:                 `pass through bypass=1`,
		`tool --password "" --user "ann"`:       `tool --password "" --user "ann"`,
		`xmrig -o stratum+tcp://pool:3333 -p x`: `xmrig -o stratum+tcp://pool:3333 -p x`,
		`mkdir -p /tmp/x`:                       `mkdir -p /tmp/x`,
		`cat /etc/passwd`:                       `cat /etc/passwd`,
		`PWD=/root sh`:                          `PWD=/root sh`,
		`https://example.com/a:b@c`:             `https://example.com/a:b@c`,
	} {
		require.Equal(t, want, r.Text(text))
		require.Equal(t, want, r.Text(want), "redacting again changes nothing")
	}
}

func TestOfAnExpressionItsGroupsAreTakenOut(t *testing.T) {
	t.Parallel()
	require.Equal(t, "card [redacted], card [redacted]", redactor(t, `\d{4}-\d{4}`).Text("card 1234-5678, card 1111-2222"))
	require.Equal(t, "card [redacted]-5678", redactor(t, `card (\d{4})-`).Text("card 1234-5678"))
	require.Equal(t, "[redacted] and [redacted]", redactor(t, `a(b)?`, `cd`).Text("cd and cd"), "all rules hold")
	require.Equal(t, "a[redacted] a", redactor(t, `a(b)?`).Text("ab a"))
	require.Equal(t, "x", redactor(t).Text("x"))
	require.Equal(t, "x", (*redact.Redactor)(nil).Text("x"))
}

func TestARuleThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	_, err := redact.New([]string{redact.Secrets, "(", "x*"})
	var first *redact.RuleError
	require.ErrorAs(t, err, &first)
	require.Equal(t, 1, first.Index)
	require.ErrorContains(t, err, "want secrets or a regular expression (RE2)")
	require.ErrorContains(t, err, "redact[2]: it matches nothing at all")
	require.Len(t, err.(interface{ Unwrap() []error }).Unwrap(), 2)
	require.False(t, errors.Is(err, nil))
}

// everything is an incident with the word in each of its texts.
const everything = `{"id":"WORD","source":"WORD","tenant":{"id":"WORD","name":"WORD"},"rule":{"name":"WORD","tags":["WORD"]},
"policy":{"id":"WORD","name":"WORD"},"severity":3,"output":"WORD","event_url":"WORD","host":{"id":"WORD","name":"WORD","mac":"WORD","agent_id":"WORD"},
"container":{"id":"WORD","name":"WORD","image":"WORD"},"kubernetes":{"namespace":"WORD","pod":"WORD"},"cloud":{"account":"WORD"},
"process":{"pid":7,"name":"WORD","cmdline":"WORD","cwd":"WORD","exe":"WORD","parent":"WORD","sha256":"abc"},"file":{"path":"WORD"},"user":"WORD",
"labels":{"a":"WORD"},"fields":{"proc.cmdline":"WORD","api_token":"hunter2"},"actions":[{"type":"KILL","error":"WORD","token":"WORD"}]}`

func TestAnIncidentLosesTheTextAndKeepsItsNames(t *testing.T) {
	t.Parallel()
	var inc, names incident.Incident
	require.NoError(t, json.Unmarshal([]byte(everything), &inc))
	require.NoError(t, json.Unmarshal([]byte(everything), &names))
	redactor(t, "WORD", redact.Secrets).Incident(&inc)
	require.Equal(t, "[redacted]", inc.Fields["api_token"], "a value is known by its name")
	require.Equal(t, []string{names.ID, names.Host.Name, names.Container.ID, names.Rule.Name, names.User, names.Kubernetes.Pod, names.Cloud.Account},
		[]string{inc.ID, inc.Host.Name, inc.Container.ID, inc.Rule.Name, inc.User, inc.Kubernetes.Pod, inc.Cloud.Account})
	inc.ID, inc.Source, inc.Tenant, inc.Rule, inc.Policy, inc.Host = "", "", incident.Tenant{}, incident.Rule{}, incident.Policy{}, incident.Host{}
	inc.Container, inc.Kubernetes, inc.Cloud, inc.User = incident.Container{}, incident.Kubernetes{}, incident.Cloud{}, ""
	text, err := json.Marshal(inc)
	require.NoError(t, err)
	require.NotContains(t, string(text), "WORD", "nowhere else")
	require.Equal(t, 13, strings.Count(string(text), redact.Mark))
	require.Equal(t, int64(7), inc.Process.PID)
}

func TestADocumentStaysJSONOfTheSameShape(t *testing.T) {
	t.Parallel()
	r := redactor(t, redact.Secrets)
	got := r.JSON(json.RawMessage(`{"n":12345678901234567890.10,"password":"p w","deep":[{"cmd":"x --password=hunter2 <b>"}],"_raw":"{\"token\":\"hunter2\"}"}`))
	require.JSONEq(t, `{"n":12345678901234567890.10,"password":"[redacted]","deep":[{"cmd":"x --password=[redacted] <b>"}],"_raw":"{\"token\":\"[redacted]\"}"}`, string(got))
	require.Contains(t, string(got), "12345678901234567890.10")
	for sent, want := range map[string]string{
		`{"password":12345,"size":1}`:                           `{"password":"[redacted]","size":1}`,
		`{"tokens":["hunter2",null,true],"users":["ann"]}`:      `{"tokens":["[redacted]",null,true],"users":["ann"]}`,
		`{"env":[{"name":"DB_PASSWORD","value":"hunter2"}]}`:    `{"env":[{"name":"DB_PASSWORD","value":"[redacted]"}]}`,
		`{"env":[{"key":"HOME","value":"/root"}]}`:              `{"env":[{"key":"HOME","value":"/root"}]}`,
		`{"args":["tool","--password","hunter2","--user","a"]}`: `{"args":["tool","--password","[redacted]","--user","a"]}`,
	} {
		require.JSONEq(t, want, string(r.JSON(json.RawMessage(sent))))
		require.JSONEq(t, want, string(r.JSON(json.RawMessage(want))), "redacting again changes nothing")
	}
	require.Equal(t, `"broken --password=[redacted]"`, string(r.JSON(json.RawMessage(`broken --password=x`))))
	require.Equal(t, `{ }`, string(redactor(t).JSON(json.RawMessage(`{ }`))), "without rules nothing is touched")
}
