package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"firebreak/internal/encryption"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// The canaries are secrets that must be nowhere but where they are needed. The
// marker is no secret: it is what must be found, in the clear or not.
const (
	canarySysdig  = "canary-sysdig-0c1f"
	canaryWebhook = "canary-webhook-7b2a"
	canaryPath    = "canary-webhook-path-55d0"
	canaryNotify  = "canary-notify-93ee"
	canaryHook    = "canary-hook-41aa"
	canaryCodec   = "canary-codec-b8c6"
	canaryURL     = "canary-codec-url-2e71"
	// passwords are on the command lines of the event, of one that is related to
	// it, and of what nobody recognises.
	password = "canary-password-e3d9"
	marker   = "marker-of-the-event-6f04"
)

// places are what is written where, by name.
type places map[string][]byte

// requireNowhere checks that no secret is anywhere.
func (p places) requireNowhere(t *testing.T, secrets ...[]byte) {
	t.Helper()
	require.NotEmpty(t, p)
	for name, content := range p {
		for _, secret := range secrets {
			require.NotEmpty(t, secret)
			require.False(t, bytes.Contains(content, secret), "%q is in %s", secret, name)
		}
	}
}

// holding are the names of the places that hold a text.
func (p places) holding(text string) []string {
	var names []string
	for name, content := range p {
		if bytes.Contains(content, []byte(text)) {
			names = append(names, name)
		}
	}
	return names
}

// below adds the files of a folder.
func (p places) below(t *testing.T, dir string) {
	t.Helper()
	found := false
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		found = true
		content, err := os.ReadFile(path)
		p[path] = content
		return err
	}))
	require.True(t, found, "there is nothing in %s", dir)
}

// answer adds the body of an answer.
func (p places) answer(t *testing.T, url string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	p[url] = body
}

// workflows adds all that a Temporal server tells of every run: each byte of
// each payload, memo, search attribute, summary and failure.
func (p places) workflows(t *testing.T, f *installation, server *temporalServer, as string) {
	t.Helper()
	list, err := server.ListWorkflow(f.ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000})
	require.NoError(t, err)
	for _, run := range list.GetExecutions() {
		id, runID := run.GetExecution().GetWorkflowId(), run.GetExecution().GetRunId()
		described, err := server.DescribeWorkflowExecution(f.ctx, id, runID)
		require.NoError(t, err)
		all, err := proto.Marshal(described)
		require.NoError(t, err)
		events := server.GetWorkflowHistory(f.ctx, id, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(t, err)
			raw, err := proto.Marshal(event)
			require.NoError(t, err)
			all = append(all, raw...)
		}
		p[as+" "+id+" "+runID] = all
	}
}

// commandLines adds those of all processes of the machine.
func (p places) commandLines(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil { // it may have ended
			p[file] = line
		}
	}
}

// material is every key of a keyset, as the file has it and as it is.
func material(t *testing.T, path string) [][]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var keyset struct {
		Key []struct {
			KeyData struct{ Value string }
		}
	}
	require.NoError(t, json.Unmarshal(content, &keyset))
	var all [][]byte
	for _, key := range keyset.Key {
		raw, err := base64.StdEncoding.DecodeString(key.KeyData.Value)
		require.NoError(t, err)
		require.Greater(t, len(raw), 32)
		all = append(all, []byte(key.KeyData.Value), raw[len(raw)-32:])
	}
	return all
}

// codec starts a codec server, and returns where it is.
func (f *installation) codec() (p *process, url string) {
	f.t.Helper()
	p = start(f.t, "codec", f.env, firebreak(), "codec", "--config", f.config, "--codec-listen", "127.0.0.1:0", "--log-format", "json")
	address, err := p.await(f.ctx, `"address":"([^"]+)"`)
	require.NoError(f.t, err)
	return p, "http://" + address
}

// TestNoSecretIsWhereItDoesNotBelong has everything happen that there is, and
// then looks for what must not have been written anywhere.
func TestNoSecretIsWhereItDoesNotBelong(t *testing.T) {
	t.Parallel()
	var told sync.Map // what the other sides were sent
	v := newVendor(t, nil)
	people := newVendor(t, func(c call) { told.Store(c.path, true) })
	host := newHost()
	command := "psql --password=" + password + " -h " + marker
	e := newEvent(t, host, minerRule)
	content := e["content"].(map[string]any)
	content["output"] = minerRule + ": " + command
	fields := content["fields"].(map[string]any)
	fields["proc.cmdline"], fields["proc.pcmdline"], fields["evt.args"] = command, "sh -c "+command, command
	e["labels"].(map[string]any)["process.args"] = command
	served := map[string]any{
		"id": e["id"], "timestamp": e["timestamp"], "originator": "policy", "severity": 3, "labels": e["labels"],
		"content": map[string]any{"type": "workloadRuntimeDetection", "ruleName": minerRule, "output": command, "fields": fields},
	}
	related := map[string]any{
		"id": random(16), "timestamp": e["timestamp"], "originator": "policy", "severity": 3, "labels": e["labels"],
		"content": map[string]any{"type": "workloadRuntimeDetection", "ruleName": "Another rule", "output": "related " + command, "fields": fields},
	}
	options := sysdigtest.Options{Token: canarySysdig, CaptureSize: 4 << 10}
	for _, of := range []map[string]any{related, served} {
		raw, err := json.Marshal(of)
		require.NoError(t, err)
		options.Events = append(options.Events, raw)
	}
	temporal := ownTemporal(t)
	f := prepare(t, temporal, minerRoute(`, capture_first: true, save_approval: {mode: none}, on_opened: [ticket], on_contained: [isolate], on_closed: [ticket]`), options, host)
	f.allow(4 * time.Minute)
	path := f.newKeyset()
	f.encrypt(path)
	f.configure(`redact: [secrets]
starter:
  sources:
    - {name: sysdig, auth: {type: bearer, secrets: ["${FIREBREAK_WEBHOOK_TOKEN}", "${CANARY_WEBHOOK}"]}}
    - {name: siem, auth: {type: path, secrets: ["${CANARY_PATH}"]}}
codec: {origins: ["http://127.0.0.1:8233"], auth: [{type: bearer, secrets: ["${CANARY_CODEC}"]}, {type: path, secrets: ["${CANARY_URL}"]}]}
notify: {urls: ["generic+` + people.URL + `/${CANARY_NOTIFY}"]}
hooks:
  ticket: {url: "` + v.URL + `/ticket", headers: {Authorization: "Bearer ${CANARY_HOOK}"}}
  isolate: {url: "` + v.URL + `/isolate", headers: {Authorization: "Bearer ${CANARY_HOOK}"}}`)
	f.env = append(f.env, "CANARY_WEBHOOK="+canaryWebhook, "CANARY_PATH="+canaryPath, "CANARY_CODEC="+canaryCodec,
		"CANARY_URL="+canaryURL, "CANARY_NOTIFY="+canaryNotify, "CANARY_HOOK="+canaryHook)
	journal := filepath.Join(t.TempDir(), "journal")
	f.starterArgs = []string{"--journal", journal}
	f.starter()
	worker := f.worker()
	workerAddress, err := worker.await(f.ctx, `"address":"([^"]+)"`)
	require.NoError(t, err)
	codec, codecURL := f.codec()

	// An incident, with everything that a person or the other sides do.
	i := f.open(e)
	i.awaitRequest("KILL_CONTAINER")
	i.signal(signals.Note, signals.NoteText{Analyst: "bob", Text: "noted in the clear"}) // as the temporal CLI sends it
	acted := f.run(firebreak(), "act", "KILL_PROCESS", "--incident", i.WorkflowID, "--analyst", "ann", "--reason", "by hand", "--task-queue", host.Name)
	require.Contains(t, acted.stdout, "action:KILL_PROCESS", acted.stderr)
	manual := strings.Fields(acted.stdout)[1]
	rejected := f.run(firebreak(), "reject", manual, "--analyst", "bob", "--reason", "not needed")
	require.Zero(t, rejected.code, rejected.stdout+rejected.stderr)
	approved := f.run(firebreak(), "approve", i.WorkflowID, "--analyst", "ann", "--reason", "confirmed")
	require.Zero(t, approved.code, approved.stdout+approved.stderr)
	i.await("the incident is contained", func() bool {
		state, _ := i.state()
		return state == signals.Contained
	})
	for _, command := range []string{"freeze", "unfreeze"} {
		r := f.run(firebreak(), command, "--analyst", "ann", "--reason", "a drill", "--task-queue", host.Name)
		require.Zero(t, r.code, r.stdout+r.stderr)
	}
	// Requests that are refused, and what nobody recognises.
	for _, url := range []string{f.starterURL + "/v1/events/siem/" + canaryPath, f.starterURL + "/v1/events/siem/wrong", codecURL + "/wrong/decode", codecURL + "/" + canaryURL + "/decode"} {
		for _, body := range []string{`{"unknown":"` + command + `"}`, `{`} {
			response, err := http.Post(url, "application/json", strings.NewReader(body))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
		}
	}
	// Temporal goes away, and the journal takes an event.
	temporal.kill()
	second := newEvent(t, host, minerRule)
	second["content"].(map[string]any)["output"] = command
	a, err := f.deliver(f.ctx, nil, second)
	require.NoError(t, err)
	require.Len(t, a.Journaled, 1)

	found := places{}
	found.below(t, journal)
	require.NotEmpty(t, found.holding(marker), "the journal holds the event")
	found.requireNowhere(t, []byte(password))
	require.NoError(t, temporal.restart(f.ctx))
	f.await("the journal is empty", func() bool { return f.journalDepth() == 0 })

	_, notified := told.Load("/" + canaryNotify)
	require.True(t, notified, "somebody was told")
	require.Equal(t, "Bearer "+canaryHook, v.at("/ticket")[0].token)
	secrets := append(material(t, path), []byte(canarySysdig), []byte(canaryWebhook), []byte(canaryPath), []byte(canaryNotify),
		[]byte(canaryHook), []byte(canaryCodec), []byte(canaryURL), []byte(password))

	found.commandLines(t)
	for name, p := range map[string]*process{"worker": worker, "starter": f.starterProc, "codec": codec} {
		output, err := os.ReadFile(p.output)
		require.NoError(t, err)
		found["the log of "+name] = output
	}
	found.answer(t, "http://"+workerAddress+"/metrics")
	found.answer(t, f.starterURL+"/metrics")
	found.answer(t, codecURL+"/metrics")
	found.below(t, f.evidenceDir)
	found.below(t, journal)
	require.NotEmpty(t, found.holding("quarantine"))
	found.requireNowhere(t, secrets...)

	// Temporal has it all, and can read none of it.
	kept := places{}
	kept.workflows(t, f, temporal, "raw")
	kept.below(t, temporal.dir)
	require.GreaterOrEqual(t, len(kept), 4, "two incidents, a manual action and the guard")
	kept.requireNowhere(t, append(secrets, []byte(marker), []byte("confirmed"), []byte("by hand"), []byte("not needed"), []byte("a drill"), []byte("Another rule"))...)
	require.NotEmpty(t, kept.holding("noted in the clear"), "what was signalled in the clear is found")

	// Whoever has the key reads it, but for the secrets.
	read := places{}
	read.workflows(t, f, temporal.reading(t, path), "decoded")
	require.NotEmpty(t, read.holding("noted in the clear"))
	require.NotEmpty(t, read.holding(marker))
	require.NotEmpty(t, read.holding("Another rule"))
	require.NotEmpty(t, read.holding("--password=[redacted]"))
	read.requireNowhere(t, secrets...)

	cli, err := exec.LookPath("temporal")
	if err != nil {
		t.Log("no temporal CLI: its part is left out")
		return
	}
	sealed := base64.StdEncoding.EncodeToString([]byte(encryption.Encoding)) // its JSON has payloads so
	show := []string{"workflow", "show", "--output", "json", "-w", i.WorkflowID, "--run-id", i.RunID}
	shown := f.run(cli, show...)
	require.Zero(t, shown.code, shown.stderr)
	require.Contains(t, shown.stdout, sealed)
	shown = f.run(cli, append(show, "--codec-endpoint", codecURL, "--codec-auth", "Bearer "+canaryCodec)...)
	require.Zero(t, shown.code, shown.stderr)
	require.NotContains(t, shown.stdout, sealed)
	queried := f.run(cli, "workflow", "query", "--type", "war-room", "-w", i.WorkflowID, "--run-id", i.RunID, "--codec-endpoint", codecURL+"/"+canaryURL)
	require.Zero(t, queried.code, queried.stderr)
	require.Contains(t, queried.stdout, "approved KILL_CONTAINER")
	// And so does firebreak with the CLI's settings.
	f.env = append(f.env, "FIREBREAK_KEYSET=", "TEMPORAL_CODEC_ENDPOINT="+codecURL, "TEMPORAL_CODEC_AUTH=Bearer "+canaryCodec)
	asked := f.run(firebreak(), "show", i.WorkflowID, "--config", f.config)
	require.Zero(t, asked.code, asked.stderr)
}
