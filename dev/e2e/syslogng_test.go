package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/sysdig/sysdigtest"
)

// forwarding is the configuration of syslog-ng: it follows a file whose lines
// are events, and posts them some at a time. What is not taken it keeps, and
// sends again.
const forwarding = `@version: 3.35
options { stats-freq(0); time-reopen(1); log-msg-size(262144); };
source events { file("%s" flags(no-parse) follow-freq(0.2)); };
destination firebreak {
  http(
    url("%s") method("POST") headers(%s)
    delimiter("\n") body("${MESSAGE}") batch-lines(20) batch-timeout(200) workers(2) retries(1000)
  );
};
log { source(events); destination(firebreak); flags(flow-control); };
`

// A SIEM forwards events by way of syslog-ng, over the death of the starter.
func TestSyslogNGForwardsEveryEventOnce(t *testing.T) {
	t.Parallel()
	command, err := exec.LookPath("syslog-ng")
	if err != nil {
		t.Skip("there is no syslog-ng: install the packages syslog-ng-core and syslog-ng-mod-http")
	}
	for name, source := range map[string]struct{ auth, path, headers string }{
		"with a bearer token":      {"bearer", "", `"Content-Type: application/x-ndjson", "Authorization: Bearer ` + webhookToken + `"`},
		"with a secret in the URL": {"path", "/" + webhookToken, `"Content-Type: application/x-ndjson"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets := newTargets(10)
			f := prepare(t, shared, routes, sysdigtest.Options{}, targets...)
			f.configure(`starter: {sources: [{name: siem, auth: {type: ` + source.auth + `, secrets: ["${FIREBREAK_WEBHOOK_TOKEN}"]}}]}`)
			f.starter()
			f.worker()
			w := &eventLog{installation: f, file: filepath.Join(t.TempDir(), "events.ndjson"), ids: map[string][]string{}}
			w.write(targets, 20)
			f.syslogNG(command, fmt.Sprintf(forwarding, w.file, f.starterURL+"/v1/events/siem"+source.path, source.headers))
			w.awaitCounted()
			f.starterProc.kill()
			w.write(targets, 20)
			f.restartStarter()
			w.awaitCounted()
		})
	}
}

// syslogNG starts a syslog-ng that has nothing in common with one of the
// system's.
func (f *installation) syslogNG(command, configuration string) {
	f.t.Helper()
	// The path of a socket has at most some hundred characters.
	dir, err := os.MkdirTemp("", "syslog-ng-")
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, os.RemoveAll(dir)) })
	file := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(f.t, os.WriteFile(file("syslog-ng.conf"), []byte(configuration), 0o600))
	start(f.t, "syslog-ng", f.env, command, "--foreground", "--no-caps", "--cfgfile", file("syslog-ng.conf"),
		"--persist-file", file("persist"), "--pidfile", file("pid"), "--control", file("control"))
}

// eventLog is a file of events, a line each.
type eventLog struct {
	*installation
	file string
	// ids are those of the events by the ID of their incident.
	ids map[string][]string
}

// write appends some events of each target.
func (w *eventLog) write(targets []sysdigtest.Host, each int) {
	w.t.Helper()
	var lines bytes.Buffer
	for range each {
		for _, target := range targets {
			e := newEvent(w.t, target, minerRule).small()
			w.ids[minerID(target)] = append(w.ids[minerID(target)], e["id"].(string))
			require.NoError(w.t, json.NewEncoder(&lines).Encode(e))
		}
	}
	file, err := os.OpenFile(w.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(w.t, err)
	_, err = file.Write(lines.Bytes())
	require.NoError(w.t, errors.Join(err, file.Close()))
}

// awaitCounted waits until every event is counted, and checks that each was
// counted once, by its incident.
func (w *eventLog) awaitCounted() {
	w.t.Helper()
	for id, ids := range w.ids {
		i := &incident{installation: w.installation, reference: reference{WorkflowID: id}}
		w.await(id+" has counted its events", func() bool { return i.counted().Count >= len(ids) })
		require.Equal(w.t, len(ids), i.counted().Count)
		told := i.signalled()
		slices.Sort(told)
		require.ElementsMatch(w.t, ids, slices.Compact(told))
	}
}
