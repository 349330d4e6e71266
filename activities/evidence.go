package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"firebreak/internal/evidence"
	"firebreak/internal/report"
	"firebreak/signals"
)

// StoredFile is a file of evidence.
type StoredFile = evidence.Item

// SaveInput is a capture to be stored as evidence of an incident.
type SaveInput struct {
	Capture    Capture  `json:"capture"`
	WorkflowID string   `json:"workflow_id"`
	RunID      string   `json:"run_id"`
	ApprovedBy []string `json:"approved_by,omitempty"`
}

// SaveCapture streams a capture's file from Sysdig into the evidence store. An
// attempt that is cut short leaves nothing behind, and the next one begins
// anew. A body that is shorter than announced, or no capture at all, is never
// stored.
func (a *Activities) SaveCapture(ctx context.Context, in SaveInput) (StoredFile, error) {
	account, err := a.sysdig(in.Capture.Tenant)
	if err != nil {
		return StoredFile{}, err
	}
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	watchdog := time.AfterFunc(a.stall(), func() { cut(errStalled) })
	defer watchdog.Stop()
	body, size, err := account.DownloadCapture(ctx, in.Capture.ID)
	if err != nil {
		return StoredFile{}, toTemporal("download capture", err)
	}
	defer body.Close()
	stop := heartbeats(ctx, func() any { return nil })
	defer stop()

	var refused error
	check := func(head []byte) error {
		refused = evidence.CheckCapture(head)
		return refused
	}
	key := evidence.Prefix(in.WorkflowID, in.RunID) + in.Capture.Name + ".scap"
	file, err := a.Evidence.Put(ctx, key, "application/octet-stream", &announced{body: body, left: size, alive: func() { watchdog.Reset(a.stall()) }}, check)
	switch {
	case refused != nil:
		return StoredFile{}, temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("capture %d is not stored: %s", in.Capture.ID, refused), ErrEvidence, refused)
	case err != nil:
		// The cause, where there is one, says more than that it was cancelled.
		return StoredFile{}, fmt.Errorf("store capture: %w", errors.Join(err, context.Cause(ctx)))
	}
	return StoredFile{
		File: file, CaptureID: strconv.FormatInt(in.Capture.ID, 10), ApprovedBy: in.ApprovedBy, StoredAt: time.Now().UTC(),
	}, nil
}

// errStalled ends a download that stands still.
var errStalled = errors.New("the download stands still")

// announced makes a body that ends before its announced length an error, and
// tells of every byte that it is alive.
type announced struct {
	body  io.Reader
	left  int64 // negative: unknown
	alive func()
}

func (r *announced) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if n > 0 {
		r.alive()
	}
	if r.left >= 0 {
		r.left = max(0, r.left-int64(n))
		if err == io.EOF && r.left > 0 { //nolint:errorlint // Read's contract is io.EOF itself
			return n, io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// ReportInput is an incident that closes, and the files stored before.
type ReportInput struct {
	Page  signals.Page `json:"page"`
	Files []StoredFile `json:"files,omitempty"`
	// ClosedAt dates the report: the same for every attempt.
	ClosedAt time.Time `json:"closed_at"`
}

// StoreReport writes the incident as JSON, its war room, the report for people,
// and last the manifest, which makes the evidence complete. A repeated attempt
// writes the same again. It returns the files it wrote.
func (a *Activities) StoreReport(ctx context.Context, in ReportInput) ([]StoredFile, error) {
	page, err := json.MarshalIndent(in.Page, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode incident: %w", err)
	}
	warRoom, err := json.MarshalIndent(in.Page.WarRoom, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode war room: %w", err)
	}
	files := []struct {
		name, contentType string
		content           []byte
	}{
		{"incident.json", "application/json", page},
		{"war-room.json", "application/json", warRoom},
		{"report.md", "text/markdown; charset=utf-8", []byte(report.Report(&in.Page))},
	}
	// Together: a disk that has to be waited for is waited for once.
	prefix := evidence.Prefix(in.Page.WorkflowID, in.Page.RunID)
	stored := make([]StoredFile, len(files))
	puts, putCtx := errgroup.WithContext(ctx)
	for i, f := range files {
		puts.Go(func() error {
			file, err := a.Evidence.Put(putCtx, prefix+f.name, f.contentType, bytes.NewReader(f.content), nil)
			stored[i] = StoredFile{File: file, StoredAt: in.ClosedAt}
			return err
		})
	}
	if err := puts.Wait(); err != nil {
		return nil, err
	}
	manifest, err := a.Evidence.WriteManifest(ctx, evidence.Manifest{
		WorkflowID: in.Page.WorkflowID, RunID: in.Page.RunID, IncidentID: in.Page.Incident.ID,
		Outcome: string(in.Page.Outcome), CreatedAt: in.ClosedAt, Files: append(in.Files[:len(in.Files):len(in.Files)], stored...),
	})
	if err != nil {
		return nil, fmt.Errorf("store manifest: %w", err)
	}
	return append(stored, StoredFile{File: manifest, StoredAt: in.ClosedAt}), nil
}
