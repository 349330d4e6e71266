package command_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/evidence"
)

const (
	evidenceRun = "019a0000-0000-7000-8000-000000000002"
	earlierRun  = "019a0000-0000-7000-8000-000000000001"
)

// evidenceDir is an evidence store with two runs of one incident, of which the
// earlier one has no manifest.
func evidenceDir(t *testing.T) (dir string, flag string) {
	t.Helper()
	dir = t.TempDir()
	store, err := evidence.Open(t.Context(), "file://"+dir)
	require.NoError(t, err)
	put := func(run, name, content string) evidence.File {
		file, err := store.Put(t.Context(), evidence.Prefix(minerID, run)+name, "", strings.NewReader(content))
		require.NoError(t, err)
		return file
	}
	put(earlierRun, "early.scap", "early")
	require.NoError(t, os.Chtimes(filepath.Join(dir, minerID, earlierRun, "early.scap"), time.Time{}, time.Unix(1e9, 0)))
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	_, err = store.WriteManifest(t.Context(), evidence.Manifest{
		WorkflowID: minerID, RunID: evidenceRun, Outcome: "contained", CreatedAt: at,
		Files: []evidence.Item{
			{File: put(evidenceRun, "c.not-a-capture", "<html>"), CaptureID: "42", NotCapture: `it begins with "<html>"`, ApprovedBy: []string{"ann", "bob"}, StoredAt: at},
			{File: put(evidenceRun, "report.md", "hello"), StoredAt: at},
		},
	})
	require.NoError(t, err)
	require.NoError(t, store.Close())
	return dir, "--evidence-url=file://" + dir
}

func TestDifferencesOfEvidenceAreFlaggedWithBothValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "--evidence-url=file://" + dir
	store, err := evidence.Open(t.Context(), "file://"+dir)
	require.NoError(t, err)
	file, err := store.Put(t.Context(), evidence.Prefix(minerID, evidenceRun)+"c.scap", "", strings.NewReader("short"))
	require.NoError(t, err)
	item := evidence.Item{File: file, CaptureID: "42"}
	item.CompareSize("Sysdig's capture", 25)
	item.CompareSize("Content-Length", file.Size)
	item.CompareSize("nothing", 0)
	item.CompareSHA256("output file.sha256", strings.ToUpper(file.SHA256))
	_, err = store.WriteManifest(t.Context(), evidence.Manifest{WorkflowID: minerID, RunID: evidenceRun, Files: []evidence.Item{item}})
	require.NoError(t, err)
	require.NoError(t, store.Close())
	const both = "size differs: Sysdig's capture states 25 bytes, stored are 5 bytes"
	code, stdout, stderr := run(t, nil, "evidence", "verify", minerID, url)
	require.Zero(t, code, "a flag, no failure: %s", stderr)
	require.Contains(t, stdout, "warn  c.scap: 5 bytes")
	require.Contains(t, stdout, both)
	_, stdout, _ = run(t, nil, "evidence", "list", minerID, url)
	require.Contains(t, stdout, both)
	_, stdout, _ = run(t, nil, "evidence", "list", minerID, url, "--output", "json")
	require.Contains(t, stdout, `"stated": "25"`)

	require.NoError(t, os.WriteFile(filepath.Join(dir, minerID, evidenceRun, "c.scap"), []byte("shorter"), 0o600))
	_, stdout, _ = run(t, nil, "evidence", "list", minerID, url)
	require.Contains(t, stdout, "7 bytes are stored, the manifest lists 5")
	code, _, _ = run(t, nil, "evidence", "verify", minerID, url)
	require.Equal(t, 1, code)
}

func TestEvidenceIsListedWithoutTemporal(t *testing.T) {
	t.Parallel()
	_, url := evidenceDir(t)
	code, stdout, stderr := run(t, nil, "evidence", "list", minerID, url)
	require.Zero(t, code, stderr)
	for _, want := range []string{
		"run         " + evidenceRun, "other runs  " + earlierRun, "of 2026-03-04 05:06:07Z, outcome contained",
		"c.not-a-capture  6", `42       ann, bob     no capture: it begins with "<html>"`,
		"report.md        5     2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  2026-03-04 05:06:07Z  -        -            -",
	} {
		require.Contains(t, stdout, want)
	}

	code, stdout, _ = run(t, nil, "evidence", "list", minerID, url, "--output=json")
	require.Zero(t, code)
	var listed struct {
		RunID     string `json:"run_id"`
		Complete  bool   `json:"complete"`
		Files     []map[string]any
		OtherRuns []string `json:"other_runs"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &listed))
	require.True(t, listed.Complete)
	require.Equal(t, []string{earlierRun}, listed.OtherRuns)
	require.Equal(t, `it begins with "<html>"`, listed.Files[0]["not_capture"])
	require.Equal(t, "report.md", listed.Files[1]["name"])

	code, stdout, _ = run(t, nil, "evidence", "list", minerID, url, "--run", earlierRun)
	require.Zero(t, code)
	require.Contains(t, stdout, "there is none: the incident is open, or its evidence is still being written")
	require.Contains(t, stdout, "early.scap  5     -")
}

func TestEvidenceThatIsAskedForWronglyIsSaid(t *testing.T) {
	t.Parallel()
	_, url := evidenceDir(t)
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"list", "capture:node-1:host", url}, 1, `no evidence of incident "capture:node-1:host" is stored`},
		{[]string{"list", minerID, url, "--run=x"}, 1, `no evidence of run "x" of incident ` + minerID + " is stored: there is that of " + evidenceRun + ", " + earlierRun},
		{[]string{"list", minerID, "--evidence-url=ftp://x"}, 2, "want file:///directory, s3://bucket, gs://bucket or azblob://container"},
		{[]string{"list"}, 2, "expected the workflow ID of an incident"},
		{[]string{"get", minerID, "nothing", url}, 1, `no file "nothing": want one of manifest.json, c.not-a-capture, report.md`},
		{[]string{"get", minerID, "../" + earlierRun + "/early.scap", url}, 1, "want one of manifest.json"},
		{[]string{"get", minerID, "manifest.json", url, "--run", earlierRun}, 1, `no file "manifest.json"`},
		{[]string{"verify", minerID, url, "--run", earlierRun}, 1, "1 of 1 checks failed"},
		{[]string{"show"}, 2, `unknown command "show": want get, list, verify`},
		{nil, 2, "want list, get or verify"},
	} {
		code, _, stderr := run(t, nil, append([]string{"evidence"}, tc.args...)...)
		require.Equal(t, tc.code, code, stderr)
		require.Contains(t, stderr, tc.want)
	}
}

func TestVerifyFindsWhatIsMissingDiffersOrIsTooMuch(t *testing.T) {
	t.Parallel()
	dir, url := evidenceDir(t)
	code, stdout, stderr := run(t, nil, "evidence", "verify", minerID, url)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "ok    c.not-a-capture: 6 bytes, SHA-256 ")
	require.Contains(t, stdout, "ok    report.md: 5 bytes, SHA-256 2cf24dba")

	at := filepath.Join(dir, minerID, evidenceRun)
	require.NoError(t, os.WriteFile(filepath.Join(at, "report.md"), []byte("HELLO"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(at, "planted"), nil, 0o600))
	require.NoError(t, os.Remove(filepath.Join(at, "c.not-a-capture")))
	code, stdout, stderr = run(t, nil, "evidence", "verify", minerID, url)
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "FAIL  c.not-a-capture: missing\n")
	require.Contains(t, stdout, `FAIL  report.md: verify "report.md": 5 bytes, SHA-256 3733cd97`)
	require.Contains(t, stdout, "FAIL  planted: not in the manifest\n")
	require.Contains(t, stderr, "3 of 3 checks failed")

	code, stdout, _ = run(t, nil, "evidence", "list", minerID, url)
	require.Zero(t, code)
	require.Contains(t, stdout, "missing; no capture")
	require.Contains(t, stdout, "not in the manifest")
}

func TestAFileOfEvidenceIsFetchedAndChecked(t *testing.T) {
	t.Parallel()
	dir, url := evidenceDir(t)
	code, stdout, stderr := run(t, nil, "evidence", "get", minerID, "report.md", url)
	require.Zero(t, code, stderr)
	require.Equal(t, "hello", stdout)

	file := filepath.Join(t.TempDir(), "report.md")
	code, stdout, stderr = run(t, nil, "evidence", "get", minerID, "report.md", url, "--output-file", file)
	require.Zero(t, code, stderr)
	require.Equal(t, file+": 5 bytes, SHA-256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n", stdout)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "hello", string(content))

	code, _, stderr = run(t, nil, "evidence", "get", minerID, "report.md", url, "--output-file", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "file exists")

	early := file + ".scap"
	code, stdout, _ = run(t, nil, "evidence", "get", minerID, "early.scap", url, "--run", earlierRun, "--output-file", early)
	require.Zero(t, code)
	require.Contains(t, stdout, ", which no manifest lists\n")

	require.NoError(t, os.WriteFile(filepath.Join(dir, minerID, evidenceRun, "report.md"), []byte("HELLO"), 0o600))
	require.NoError(t, os.Remove(file))
	code, _, stderr = run(t, nil, "evidence", "get", minerID, "report.md", url, "--output-file", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "the manifest says 5 bytes, SHA-256 2cf24dba")
	require.NoFileExists(t, file)
}

func TestEvidenceCompletesIncidentsAndFiles(t *testing.T) {
	t.Parallel()
	_, url := evidenceDir(t)
	temporal := listing(waiting("a", time.Time{}))
	for _, command := range []string{"list", "get", "verify"} {
		require.Equal(t, []string{"a\tKILL_CONTAINER, miner\uFFFD[2J", noFiles}, completions(t, temporal, "evidence", command, ""))
	}
	require.Equal(t, []string{"c.not-a-capture", "report.md", noFiles}, completions(t, temporal, "evidence", "get", url, minerID, ""))
	require.Equal(t, []string{noFiles}, completions(t, temporal, "evidence", "verify", url, minerID, ""))
}
