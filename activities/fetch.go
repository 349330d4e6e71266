package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/evidence"
	"firebreak/internal/sysdig"
)

// FetchInput is an execution that brought something.
type FetchInput struct {
	Action      string   `json:"action"`
	ExecutionID string   `json:"execution_id"`
	Tenant      string   `json:"tenant,omitzero"`
	ApprovedBy  []string `json:"approved_by,omitempty"`
	WorkflowID  string   `json:"workflow_id"`
	RunID       string   `json:"run_id"`
}

// acquires is the action that surely brings a file, and withoutFile the attempt
// that takes it that there is none.
const (
	acquires    = "FILE_ACQUIRE"
	withoutFile = 4
)

// FetchResult stores what an execution brought as evidence: the file that Sysdig
// acquired or, where there is none to download, the execution's outputs as JSON.
// What actions other than FILE_ACQUIRE put where is not published. URLs among the
// outputs are not stored with what signs them. A repeated attempt writes the same
// again.
func (a *Activities) FetchResult(ctx context.Context, in FetchInput) (StoredFile, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return StoredFile{}, err
	}
	stop := heartbeats(ctx, func() any { return nil })
	defer stop()
	key := evidence.Prefix(in.WorkflowID, in.RunID) + strings.ToLower(in.Action) + "-" + url.PathEscape(in.ExecutionID)
	stored := StoredFile{ApprovedBy: in.ApprovedBy}
	body, err := account.AcquiredFile(ctx, in.ExecutionID, a.stall())
	var answer *sysdig.Error
	switch {
	case err == nil:
		defer body.Close()
		if stored.File, err = a.Evidence.Put(ctx, key+".bin", "application/octet-stream", body); err == nil {
			compareDownload(&stored, body)
			a.compareOutputs(ctx, account, in.ExecutionID, &stored)
		}
	case hasStatus(err, http.StatusNotFound) && in.Action == acquires && activity.GetInfo(ctx).Attempt < withoutFile:
		// It was carried out: not everything that answers for Sysdig may know yet.
		return StoredFile{}, fmt.Errorf("download what %s brought: %w", in.Action, err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusBadRequest):
		var execution *sysdig.Execution
		if execution, err = account.Execution(ctx, in.ExecutionID); err != nil {
			return StoredFile{}, toTemporal("read what "+in.Action+" brought", err)
		}
		if len(execution.Outputs) == 0 {
			return StoredFile{}, temporal.NewNonRetryableApplicationError("Sysdig has neither a file nor outputs of it", ErrNotFound, err)
		}
		stored.File, err = a.storeOutputs(ctx, key+".json", execution.Outputs)
	default:
		return StoredFile{}, toTemporal("download what "+in.Action+" brought", err)
	}
	if err != nil {
		return StoredFile{}, fmt.Errorf("store what %s brought: %w", in.Action, err)
	}
	stored.StoredAt = time.Now().UTC()
	return stored, nil
}

// compareOutputs compares an acquired file with what the outputs of its execution
// state: a size under a key that ends in "size", a SHA-256 under one that holds
// "sha256". Which outputs FILE_ACQUIRE has is not published, so that a size that
// differs is flagged and no more. Outputs that cannot be read state nothing.
func (a *Activities) compareOutputs(ctx context.Context, account *sysdig.Client, executionID string, stored *StoredFile) {
	execution, err := account.Execution(ctx, executionID)
	if err != nil {
		activity.GetLogger(ctx).Warn("outputs not read, the file is not compared with them", "execution_id", executionID, "error", err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(execution.Outputs)) {
		value, key := fmt.Sprint(execution.Outputs[name]), strings.ToLower(name)
		size, err := strconv.ParseInt(value, 10, 64)
		switch {
		case strings.HasSuffix(key, "size") && err == nil:
			stored.CompareSize("output "+name, size)
		case strings.Contains(strings.NewReplacer("-", "", "_", "", ".", "").Replace(key), "sha256") && isSHA256(value):
			stored.CompareSHA256("output "+name, value)
		}
	}
}

// isSHA256 reports whether a text is a SHA-256 in hex.
func isSHA256(s string) bool {
	sum, err := hex.DecodeString(s)
	return err == nil && len(sum) == sha256.Size
}

// storeOutputs stores outputs. They may hold pre-signed URLs, which open what
// they point at to whoever has them.
func (a *Activities) storeOutputs(ctx context.Context, key string, outputs map[string]any) (evidence.File, error) {
	kept := a.Redactor.Value(unsigned(outputs))
	content, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return evidence.File{}, fmt.Errorf("encode outputs: %w", err)
	}
	return a.Evidence.Put(ctx, key, "application/json", io.MultiReader(bytes.NewReader(content), strings.NewReader("\n")))
}

// inText finds URLs in a text, and what may sign them: who they name, and their
// query.
var inText = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s"'<>/?#@]*@)?([^\s"'<>?#]*)(?:[?#][^\s"'<>]*)?`)

// unsigned is a value of outputs, of which URLs say no more than where they point.
func unsigned(value any) any {
	switch value := value.(type) {
	case string:
		return inText.ReplaceAllString(value, "$1$2")
	case map[string]any:
		kept := map[string]any{}
		for name, inner := range value {
			kept[name] = unsigned(inner)
		}
		return kept
	case []any:
		kept := make([]any, len(value))
		for i, inner := range value {
			kept[i] = unsigned(inner)
		}
		return kept
	default:
		return value
	}
}
