package command

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"firebreak/internal/evidence"
)

func (s *session) evidenceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "List, fetch and verify the evidence of an incident",
		Long: "Reads the evidence store of the configuration. It needs no Temporal: an incident's evidence outlives\n" +
			"its workflow. Of a workflow ID with several runs the latest that left evidence is meant, or --run.",
		Args: knownCommand,
		RunE: func(*cobra.Command, []string) error {
			return usagef("evidence: a command is missing: want list, get or verify")
		},
	}
	cmd.AddCommand(s.evidenceListCommand(), s.evidenceGetCommand(), s.evidenceVerifyCommand())
	return cmd
}

// evidenceFlags gives a command the flags that all commands of evidence have.
func evidenceFlags(cmd *cobra.Command) *cobra.Command {
	addSettings(cmd, flagEvidenceURL)
	cmd.Flags().String(flagRun, "", "`RUN` of the incident: its ID, as `firebreak show` and `evidence list` name it")
	return cmd
}

const flagRun = "run"

func (s *session) evidenceListCommand() *cobra.Command {
	return evidenceFlags(&cobra.Command{
		Use:               "list ID",
		Short:             "List what is stored of an incident",
		Args:              exactly(1, "the workflow ID of an incident"),
		ValidArgsFunction: s.completeEvidence,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withEvidence(cmd, args[0], func(_ *evidence.Store, e *evidenceOf) error {
				return s.print(e, func(w io.Writer) error { return writeEvidence(w, e) })
			})
		},
	})
}

func (s *session) evidenceVerifyCommand() *cobra.Command {
	return evidenceFlags(&cobra.Command{
		Use:   "verify ID",
		Short: "Compare what is stored of an incident with its manifest",
		Long: "Reads every file of the manifest again and computes its hash. Exit code 1 if one is missing or differs,\n" +
			"if there are others, or if there is no manifest. A file whose size or digest Sysdig stated otherwise is a\n" +
			"warning with both values.",
		Args:              exactly(1, "the workflow ID of an incident"),
		ValidArgsFunction: s.completeEvidence,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withEvidence(cmd, args[0], func(store *evidence.Store, e *evidenceOf) error {
				checks := e.verify(cmd.Context(), store)
				if err := s.print(checks, func(w io.Writer) error { return writeChecks(w, checks) }); err != nil {
					return err
				}
				if failed := countFailed(checks); failed > 0 {
					return fmt.Errorf("evidence of %s: %d of %d checks failed", e.WorkflowID, failed, len(checks))
				}
				return nil
			})
		},
	})
}

func (s *session) evidenceGetCommand() *cobra.Command {
	var file string
	cmd := evidenceFlags(&cobra.Command{
		Use:   "get ID NAME",
		Short: "Fetch a file of an incident's evidence",
		Long: "Writes a file of an incident's evidence to --output-file, or to stdout if that is no terminal. Exit code 1\n" +
			"if its size or hash is not what the manifest says; what was written to --output-file is then removed.",
		Args:              exactly(2, "the workflow ID of an incident and the name of a file, as `evidence list` shows it"),
		ValidArgsFunction: s.completeEvidence,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" && isTerminal(s.Stdout) {
				return usagef("evidence get: stdout is a terminal: want --output-file FILE, or stdout piped")
			}
			return s.withEvidence(cmd, args[0], func(store *evidence.Store, e *evidenceOf) error {
				got, err := e.get(cmd.Context(), store, args[1], file, s.Stdout)
				if err != nil || file == "" {
					return err
				}
				return s.print(got, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s: %d bytes, SHA-256 %s%s\n", file, got.Size, got.SHA256, e.unchecked(args[1]))
					return err
				})
			})
		},
	})
	cmd.Flags().StringVar(&file, "output-file", "", "`FILE` to write to; it must not exist")
	return cmd
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// evidenceOf is what is stored of one run of an incident.
type evidenceOf struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// Complete says that there is a manifest, which is written last. Outcome and
	// CreatedAt are of it.
	Complete  bool             `json:"complete"`
	Outcome   string           `json:"outcome,omitzero"`
	CreatedAt time.Time        `json:"created_at,omitzero"`
	Files     []evidenceOfFile `json:"files"`
	// OtherRuns are the other runs with evidence, the latest first.
	OtherRuns []string `json:"other_runs"`
}

// evidenceOfFile is a file that is stored, or that the manifest says is.
type evidenceOfFile struct {
	evidence.Item
	// Problem says in what the store and the manifest differ, as far as it shows
	// without reading the file.
	Problem string `json:"problem,omitzero"`
}

// differences are what other sources state otherwise than what is stored.
func (f *evidenceOfFile) differences() string {
	texts := make([]string, len(f.Differences))
	for i, difference := range f.Differences {
		texts[i] = difference.String()
	}
	return strings.Join(texts, "; ")
}

// Problems of files.
const (
	problemMissing  = "missing"
	problemUnlisted = "not in the manifest"
)

// withEvidence opens the evidence store and reads what it has of an incident.
func (s *session) withEvidence(cmd *cobra.Command, workflowID string, f func(*evidence.Store, *evidenceOf) error) (err error) {
	cfg, err := s.load(cmd)
	if err != nil {
		return err
	}
	store, err := evidence.Open(cmd.Context(), cfg.Evidence.URL)
	if err != nil {
		return &UsageError{err}
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	e, err := readEvidence(cmd.Context(), store, workflowID, cmd.Flags().Lookup(flagRun).Value.String())
	if err != nil {
		return err
	}
	return f(store, e)
}

// readEvidence reads what is stored of a run; an empty run ID means the latest.
func readEvidence(ctx context.Context, store *evidence.Store, workflowID, runID string) (*evidenceOf, error) {
	runs, err := store.Runs(ctx, workflowID)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("no evidence of incident %q is stored", workflowID)
	}
	ids := make([]string, len(runs))
	for i, run := range runs {
		ids[i] = run.ID
	}
	n := slices.Index(ids, cmp.Or(runID, ids[0]))
	if n < 0 {
		return nil, fmt.Errorf("no evidence of run %q of incident %s is stored: there is that of %s", runID, workflowID, strings.Join(ids, ", "))
	}
	e := &evidenceOf{WorkflowID: workflowID, RunID: ids[n], Files: []evidenceOfFile{}}
	e.OtherRuns = slices.Delete(ids, n, n+1)
	return e, e.read(ctx, store, runs[n].Objects)
}

// read matches what is stored with the manifest, if there is one.
func (e *evidenceOf) read(ctx context.Context, store *evidence.Store, objects []evidence.Object) error {
	stored := map[string]evidence.Object{}
	for _, o := range objects {
		stored[path.Base(o.Key)] = o
	}
	if _, e.Complete = stored[evidence.ManifestName]; e.Complete {
		manifest, err := store.ReadManifest(ctx, e.WorkflowID, e.RunID)
		if err != nil {
			return err
		}
		e.Outcome, e.CreatedAt = manifest.Outcome, manifest.CreatedAt
		for _, item := range manifest.Files {
			file := evidenceOfFile{Item: item}
			switch o, ok := stored[item.Name]; {
			case !ok:
				file.Problem = problemMissing
			case o.Size != item.Size:
				file.Problem = fmt.Sprintf("%d bytes are stored, the manifest lists %d", o.Size, item.Size)
			}
			e.Files = append(e.Files, file)
			delete(stored, item.Name)
		}
	}
	for _, o := range objects {
		name := path.Base(o.Key)
		if _, left := stored[name]; !left || name == evidence.ManifestName {
			continue
		}
		file := evidenceOfFile{Item: evidence.Item{File: evidence.File{Name: name, Size: o.Size}, StoredAt: o.StoredAt}}
		if e.Complete {
			file.Problem = problemUnlisted
		}
		e.Files = append(e.Files, file)
	}
	return nil
}

// verify compares every file with the manifest.
func (e *evidenceOf) verify(ctx context.Context, store *evidence.Store) []check {
	if !e.Complete {
		return []check{result(evidence.ManifestName, "", errors.New(noManifest))}
	}
	var checks []check
	for i := range e.Files {
		f := &e.Files[i]
		var err error
		if f.Problem != "" {
			err = errors.New(f.Problem)
		} else {
			err = store.Verify(ctx, e.WorkflowID, e.RunID, f.File)
		}
		detail := fmt.Sprintf("%d bytes, SHA-256 %s", f.Size, f.SHA256)
		c := result(f.Name, detail, err)
		if err == nil && len(f.Differences) > 0 {
			c = warning(f.Name, detail+"; "+f.differences())
		}
		checks = append(checks, c)
	}
	return checks
}

const noManifest = "there is none: the incident is open, or its evidence is still being written"

// get writes a file to a new file, or to w if that is "".
func (e *evidenceOf) get(ctx context.Context, store *evidence.Store, name, file string, w io.Writer) (_ evidence.File, err error) {
	names := []string{evidence.ManifestName}
	for i := range e.Files {
		names = append(names, e.Files[i].Name)
	}
	if !slices.Contains(names, name) || (name == evidence.ManifestName && !e.Complete) {
		return evidence.File{}, fmt.Errorf("no file %q: want one of %s", name, strings.Join(names, ", "))
	}
	r, err := store.Get(ctx, evidence.Prefix(e.WorkflowID, e.RunID)+name)
	if err != nil {
		return evidence.File{}, err
	}
	defer r.Close()
	if file != "" {
		created, createErr := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if createErr != nil {
			return evidence.File{}, createErr
		}
		defer func() {
			if err = errors.Join(err, created.Close()); err != nil {
				err = errors.Join(err, os.Remove(file))
			}
		}()
		w = created
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(w, hash), r)
	if err != nil {
		return evidence.File{}, fmt.Errorf("read evidence %q: %w", name, err)
	}
	got := evidence.File{Name: name, Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))}
	if want := e.listed(name); want != nil && *want != got {
		return evidence.File{}, fmt.Errorf("%s has %d bytes, SHA-256 %s: the manifest says %d bytes, SHA-256 %s",
			name, got.Size, got.SHA256, want.Size, want.SHA256)
	}
	return got, nil
}

// listed is what the manifest says of a file; nil if it says nothing.
func (e *evidenceOf) listed(name string) *evidence.File {
	for i := range e.Files {
		if f := &e.Files[i]; f.Name == name && f.SHA256 != "" {
			return &f.File
		}
	}
	return nil
}

// unchecked says so of a file that the manifest says nothing of.
func (e *evidenceOf) unchecked(name string) string {
	if e.listed(name) == nil {
		return ", which no manifest lists"
	}
	return ""
}

func writeEvidence(w io.Writer, e *evidenceOf) error {
	t := newTable(w, "")
	t.row("incident", e.WorkflowID)
	t.row("run", e.RunID)
	if len(e.OtherRuns) > 0 {
		t.row("other runs", strings.Join(e.OtherRuns, ", "))
	}
	if e.Complete {
		t.row("manifest", fmt.Sprintf("of %s, outcome %s", timestamp(e.CreatedAt), e.Outcome))
	} else {
		t.row("manifest", noManifest)
	}
	if err := t.flush(); err != nil {
		return err
	}
	t = newTable(w, "")
	t.row("NAME", "SIZE", "SHA-256", "STORED", "CAPTURE", "APPROVED BY", "REMARK")
	for i := range e.Files {
		f := &e.Files[i]
		remark := f.Problem
		if f.NotCapture != "" {
			remark = strings.TrimPrefix(remark+"; no capture: "+f.NotCapture, "; ")
		}
		if len(f.Differences) > 0 {
			remark = strings.TrimPrefix(remark+"; "+f.differences(), "; ")
		}
		t.row(f.Name, strconv.FormatInt(f.Size, 10), cmp.Or(f.SHA256, "-"), timestamp(f.StoredAt), cmp.Or(f.CaptureID, "-"),
			cmp.Or(strings.Join(f.ApprovedBy, ", "), "-"), cmp.Or(remark, "-"))
	}
	return t.flush()
}

// completeEvidence offers incidents, closed ones too, and to a command that takes
// one the files of that incident.
func (s *session) completeEvidence(cmd *cobra.Command, typed []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var offered []cobra.Completion
	switch {
	case len(typed) == 0:
		offered = s.complete(cmd, inState(""), nil)
	case len(typed) == 1 && cmd.Name() == "get" && s.environ.fill(cmd.Flags()) == nil:
		// What goes wrong offers nothing.
		_ = s.withEvidence(cmd, typed[0], func(_ *evidence.Store, e *evidenceOf) error {
			for i := range e.Files {
				offered = append(offered, plain(e.Files[i].Name))
			}
			return nil
		})
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}
