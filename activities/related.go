package activities

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
	"firebreak/signals"
)

// How far around an event others are looked for, how many are shown, and how much
// of the output of each, in bytes.
const (
	aroundEvent = 30 * time.Minute
	maxRelated  = 10
	maxOutput   = 200
)

// RelatedInput is the event around which others are looked for.
type RelatedInput struct {
	EventID     string    `json:"event_id"`
	At          time.Time `json:"at"`
	HostName    string    `json:"host_name,omitzero"`
	ContainerID string    `json:"container_id,omitzero"`
	Tenant      string    `json:"tenant,omitzero"`
}

// Related lists the events of the same container, or else of the same host, that
// happened around an event, those nearest to it, in their order. It only reads.
//
// The operators of a filter are known from examples only (Sysdig's MCP server), so
// the filter asks for more than is wanted, and the rest is done here.
func (a *Activities) Related(ctx context.Context, in RelatedInput) ([]signals.RelatedEvent, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return nil, err
	}
	filter := `not originator in ("` + strings.Join(incident.NoDetection(), `","`) + `")`
	if in.HostName != "" {
		filter += " and host.hostName startsWith " + strconv.Quote(in.HostName)
	}
	raws, err := account.Events(ctx, in.At.Add(-aroundEvent), in.At.Add(aroundEvent), filter, sysdig.MaxEvents)
	if err != nil {
		return nil, toTemporal("list the events around it", err)
	}
	events, err := incident.Parse(append(append([]byte("["), bytes.Join(asBytes(raws), []byte(","))...), ']'))
	if err != nil && len(raws) > 0 {
		return nil, fmt.Errorf("read the events around it: %w", err)
	}
	a.Redactor.Events(events)
	related := []signals.RelatedEvent{}
	for i := range events {
		of := &events[i].Incident
		same := in.HostName != "" && of.Host.Name == in.HostName
		if in.ContainerID != "" {
			same = of.Container.ID == in.ContainerID
		}
		if events[i].Adapter == "" || events[i].Ignored != "" || !same || of.ID == in.EventID {
			continue
		}
		related = append(related, signals.RelatedEvent{
			ID: of.ID, Time: of.OccurredAt, Rule: of.Rule.Name, Severity: of.Severity, Output: signals.Clip(of.Output, maxOutput),
		})
	}
	distance := func(e signals.RelatedEvent) time.Duration { return e.Time.Sub(in.At).Abs() }
	slices.SortStableFunc(related, func(x, y signals.RelatedEvent) int { return cmp.Compare(distance(x), distance(y)) })
	related = related[:min(len(related), maxRelated)]
	slices.SortStableFunc(related, func(x, y signals.RelatedEvent) int { return x.Time.Compare(y.Time) })
	return related, nil
}

func asBytes(raws []json.RawMessage) [][]byte {
	all := make([][]byte, len(raws))
	for i, raw := range raws {
		all[i] = raw
	}
	return all
}

// readEvent is the event as the events API has it, nil where Sysdig does not know it
// or the token may not see it.
func (a *Activities) readEvent(ctx context.Context, account *sysdig.Client, id string) (*incident.Incident, error) {
	if strings.Trim(id, ".") == "" {
		return nil, nil
	}
	raw, err := account.Event(ctx, id)
	var answer *sysdig.Error
	switch {
	case errors.As(err, &answer) && isFinal(toTemporal("", err)):
		return nil, nil
	case err != nil:
		return nil, toTemporal("read the event", err)
	}
	events, err := incident.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	a.Redactor.Events(events)
	for i := range events {
		if events[i].Adapter != "" && events[i].Incident.ID == id {
			return &events[i].Incident, nil
		}
	}
	return nil, nil
}
