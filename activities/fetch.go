package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

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
	key := evidence.Prefix(in.WorkflowID, in.RunID) + strings.ToLower(in.Action) + "-" + in.ExecutionID
	var file evidence.File
	body, err := account.AcquiredFile(ctx, in.ExecutionID, a.stall())
	var answer *sysdig.Error
	switch {
	case err == nil:
		defer body.Close()
		file, err = a.Evidence.Put(ctx, key+".bin", "application/octet-stream", body)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusBadRequest):
		var execution *sysdig.Execution
		if execution, err = account.Execution(ctx, in.ExecutionID); err != nil {
			return StoredFile{}, toTemporal("read what "+in.Action+" brought", err)
		}
		if len(execution.Outputs) == 0 {
			return StoredFile{}, temporal.NewNonRetryableApplicationError("Sysdig has neither a file nor outputs of it", ErrNotFound, err)
		}
		file, err = a.storeOutputs(ctx, key+".json", execution.Outputs)
	default:
		return StoredFile{}, toTemporal("download what "+in.Action+" brought", err)
	}
	if err != nil {
		return StoredFile{}, fmt.Errorf("store what %s brought: %w", in.Action, err)
	}
	return StoredFile{File: file, ApprovedBy: in.ApprovedBy, StoredAt: time.Now().UTC()}, nil
}

// storeOutputs stores outputs. They may hold pre-signed URLs, which open what
// they point at to whoever has them.
func (a *Activities) storeOutputs(ctx context.Context, key string, outputs map[string]any) (evidence.File, error) {
	kept := map[string]any{}
	for name, value := range outputs {
		if text, is := value.(string); is {
			if u, err := url.Parse(text); err == nil && u.Host != "" && (u.RawQuery != "" || u.User != nil) {
				u.RawQuery, u.User = "", nil
				value = u.String()
			}
		}
		kept[name] = value
	}
	content, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return evidence.File{}, fmt.Errorf("encode outputs: %w", err)
	}
	return a.Evidence.Put(ctx, key, "application/json", io.MultiReader(bytes.NewReader(content), strings.NewReader("\n")))
}
