package activities

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"firebreak/internal/evidence"
	"firebreak/internal/report"
	"firebreak/internal/sysdig"
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

// SaveCapture streams a capture's file from Sysdig into the evidence store. A
// download that breaks off is taken up again where it did, if Sysdig lets it.
// Otherwise the attempt fails and leaves nothing behind, and the next one begins
// again. A body that is shorter than its own Content-Length is never stored. What
// came whole but is no capture, like an error page, is stored for what it is, under
// a name of its own, and flagged; and so is a file whose size or digest Sysdig states
// otherwise.
func (a *Activities) SaveCapture(ctx context.Context, in SaveInput) (StoredFile, error) {
	account, err := a.sysdig(in.Capture.Tenant)
	if err != nil {
		return StoredFile{}, err
	}
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	body, err := account.DownloadCapture(ctx, in.Capture.ID, a.stall())
	if err != nil {
		return StoredFile{}, toTemporal("download capture", err)
	}
	defer body.Close()
	stop := heartbeats(ctx, func() any { return nil })
	defer stop()

	content := bufio.NewReaderSize(body, evidence.CaptureHead)
	head, err := content.Peek(evidence.CaptureHead)
	if err != nil && !errors.Is(err, io.EOF) {
		return StoredFile{}, toTemporal("download capture", err)
	}
	name, notCapture := in.Capture.Name+".scap", ""
	if err := evidence.CheckCapture(head); err != nil {
		name, notCapture = in.Capture.Name+".not-a-capture", err.Error()
	}
	watchdog := time.AfterFunc(storeStall, func() { cut(errStoreStalled) })
	defer watchdog.Stop()
	file, err := a.Evidence.Put(ctx, evidence.Prefix(in.WorkflowID, in.RunID)+name, "application/octet-stream",
		&guarded{r: content, watchdog: watchdog})
	switch {
	case err == nil:
	case errors.Is(context.Cause(ctx), errStoreStalled):
		return StoredFile{}, fmt.Errorf("store capture: %w", errStoreStalled)
	default:
		return StoredFile{}, toTemporal("store capture", err)
	}
	stored := StoredFile{
		File: file, CaptureID: strconv.FormatInt(in.Capture.ID, 10), NotCapture: notCapture,
		ApprovedBy: in.ApprovedBy, StoredAt: time.Now().UTC(),
	}
	stored.CompareSize("Sysdig's capture", in.Capture.Size)
	compareDownload(&stored, body)
	return stored, nil
}

// compareDownload compares a file with what the answer stated that it came in.
func compareDownload(stored *StoredFile, body *sysdig.Download) {
	stored.CompareSize("Content-Length", body.Size())
	stored.CompareSHA256("the download's digest", body.SHA256())
}

// storeStall is how long the evidence store may do nothing with what it has got.
// S3 may take minutes to put the parts of an object together.
const storeStall = 5 * time.Minute

// errStoreStalled ends an attempt whose store stands still.
var errStoreStalled = errors.New("the evidence store stands still")

// guarded lets a watchdog run while its reader is not read from: the time that
// reading takes is not the store's.
type guarded struct {
	r        io.Reader
	watchdog *time.Timer
}

func (g *guarded) Read(p []byte) (int, error) {
	g.watchdog.Stop()
	defer g.watchdog.Reset(storeStall)
	return g.r.Read(p)
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
			file, err := a.Evidence.Put(putCtx, prefix+f.name, f.contentType, bytes.NewReader(f.content))
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
