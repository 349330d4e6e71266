package starter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// quarantined is a file in quarantine: what one request held that could not
// become an incident, as it was sent.
type quarantined struct {
	Source     string            `json:"source"`
	ReceivedAt time.Time         `json:"received_at"`
	Reason     string            `json:"reason"`
	Objects    []json.RawMessage `json:"objects"`
}

// keep stores objects as quarantine/<source>/<time>-<hash>.json. It is one file
// per request, however many objects the request holds.
func (h *Handler) keep(ctx context.Context, source, reason string, objects []json.RawMessage) error {
	if len(objects) == 0 {
		return nil
	}
	now := time.Now().UTC()
	body, err := json.Marshal(quarantined{Source: source, ReceivedAt: now, Reason: reason, Objects: objects})
	if err != nil {
		return fmt.Errorf("encode quarantine: %w", err)
	}
	sum := sha256.Sum256(body)
	key := fmt.Sprintf("quarantine/%s/%s-%s.json", source, now.Format("20060102T150405.000Z"), hex.EncodeToString(sum[:8]))
	if _, err := h.quarantine.Put(ctx, key, "application/json", bytes.NewReader(body)); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	h.log.WarnContext(ctx, "objects quarantined", "source", source, "reason", reason, "objects", len(objects), "key", key)
	return nil
}
