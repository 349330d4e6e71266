package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ManifestName is the manifest's name below an incident's [Prefix].
const ManifestName = "manifest.json"

// maxManifest bounds what ReadManifest takes into memory.
const maxManifest = 4 << 20

// Manifest lists the evidence of one run of an incident. It is written last: an
// incident whose manifest exists has all its evidence.
type Manifest struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// IncidentID is the sender's ID of the event that opened the incident.
	IncidentID string    `json:"incident_id"`
	Outcome    string    `json:"outcome"`
	CreatedAt  time.Time `json:"created_at"`
	Files      []Item    `json:"files"`
}

// Item is a file of a manifest and where it came from.
type Item struct {
	File
	// CaptureID is Sysdig's, for a capture.
	CaptureID string `json:"capture_id,omitzero"`
	// NotCapture says why what Sysdig gave for a capture cannot be one; empty of
	// every other file.
	NotCapture string `json:"not_capture,omitzero"`
	// Differences are what other sources state otherwise than what is stored.
	Differences []Difference `json:"differences,omitempty"`
	// ApprovedBy names the analysts who approved saving it.
	ApprovedBy []string  `json:"approved_by,omitempty"`
	StoredAt   time.Time `json:"stored_at"`
}

// Difference is a size or a digest of a file that another source states otherwise. The
// file is kept as it came: the other source may be wrong, or the file cut.
type Difference struct {
	// What is "size", in bytes, or "sha256", in hex.
	What string `json:"what"`
	// Source states it: "Sysdig's capture", "Content-Length".
	Source string `json:"source"`
	Stated string `json:"stated"`
	Stored string `json:"stored"`
}

// String words it with both values.
func (d Difference) String() string {
	unit := ""
	if d.What == WhatSize {
		unit = " bytes"
	}
	return fmt.Sprintf("%s differs: %s states %s%s, stored are %s%s", d.What, d.Source, d.Stated, unit, d.Stored, unit)
}

// What a Difference is about.
const (
	WhatSize   = "size"
	WhatSHA256 = "sha256"
)

// CompareSize records a size that a source states otherwise; one that is not known,
// 0 or less, says nothing.
func (i *Item) CompareSize(source string, stated int64) {
	if stated > 0 && stated != i.Size {
		i.Differences = append(i.Differences, Difference{WhatSize, source, strconv.FormatInt(stated, 10), strconv.FormatInt(i.Size, 10)})
	}
}

// CompareSHA256 records a digest that a source states otherwise, in hex; "" says
// nothing.
func (i *Item) CompareSHA256(source, stated string) {
	if stated != "" && !strings.EqualFold(stated, i.SHA256) {
		i.Differences = append(i.Differences, Difference{WhatSHA256, source, stated, i.SHA256})
	}
}

// WriteManifest stores a manifest at its place.
func (s *Store) WriteManifest(ctx context.Context, m Manifest) (File, error) {
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return File{}, fmt.Errorf("encode manifest: %w", err)
	}
	return s.Put(ctx, Prefix(m.WorkflowID, m.RunID)+ManifestName, "application/json", bytes.NewReader(append(body, '\n')))
}

// ReadManifest reads the manifest of a run of an incident.
func (s *Store) ReadManifest(ctx context.Context, workflowID, runID string) (Manifest, error) {
	key := Prefix(workflowID, runID) + ManifestName
	r, err := s.Get(ctx, key)
	if err != nil {
		return Manifest{}, err
	}
	defer r.Close()
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(r, maxManifest)).Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("read manifest %q: %w", key, err)
	}
	return m, nil
}

// Verify reads a file of the manifest of a run again, and says in what it
// differs from what the manifest says.
func (s *Store) Verify(ctx context.Context, workflowID, runID string, want File) error {
	r, err := s.Get(ctx, Prefix(workflowID, runID)+want.Name)
	if err != nil {
		return err
	}
	defer r.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, r)
	if err != nil {
		return fmt.Errorf("verify %q: %w", want.Name, err)
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != want.SHA256 || size != want.Size {
		return fmt.Errorf("verify %q: %d bytes, SHA-256 %s: want %d bytes, SHA-256 %s", want.Name, size, sum, want.Size, want.SHA256)
	}
	return nil
}
