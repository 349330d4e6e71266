package activities

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// maxNarrowings bounds the requests for the events after one. The last time span is
// then less than a second.
const maxNarrowings = 12

// RelatedInput is the event around which others are looked for.
type RelatedInput struct {
	EventID     string    `json:"event_id"`
	At          time.Time `json:"at"`
	HostName    string    `json:"host_name,omitzero"`
	ContainerID string    `json:"container_id,omitzero"`
	Tenant      string    `json:"tenant,omitzero"`
}

// RelatedResult are the events around one, in their order. Cut reports that there are
// more than the nearest ones.
type RelatedResult struct {
	Events []signals.RelatedEvent `json:"events"`
	Cut    bool                   `json:"cut,omitzero"`
}

// Related lists the events of the same container, or else of the same host, that
// happened around an event, those nearest to it, in their order. It only reads.
//
// Sysdig lists the newest events of a time span, up to a number. Therefore the events
// before and after are asked for separately: of those before, the newest are the
// nearest; for those after, the time span is narrowed until all of its events are
// listed. An event that Sysdig lists without its container's ID is not found for a
// container.
func (a *Activities) Related(ctx context.Context, in RelatedInput) (RelatedResult, error) {
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return RelatedResult{}, err
	}
	before, oldest, err := a.eventsBetween(ctx, account, &in, in.At.Add(-aroundEvent), in.At)
	if err != nil {
		return RelatedResult{}, err
	}
	after, moreAfter, err := a.eventsAfter(ctx, account, &in)
	if err != nil {
		return RelatedResult{}, err
	}
	return nearest(&in, append(before, after...), !oldest.IsZero() || moreAfter), nil
}

// nearest selects the events that are nearest to the given one.
func nearest(in *RelatedInput, events []signals.RelatedEvent, more bool) RelatedResult {
	seen := map[string]bool{in.EventID: true}
	events = slices.DeleteFunc(events, func(e signals.RelatedEvent) bool {
		twice := seen[e.ID]
		seen[e.ID] = true
		return twice
	})
	distance := func(e signals.RelatedEvent) time.Duration { return e.Time.Sub(in.At).Abs() }
	slices.SortStableFunc(events, func(x, y signals.RelatedEvent) int { return cmp.Compare(distance(x), distance(y)) })
	r := RelatedResult{Events: events[:min(len(events), maxRelated)], Cut: more || len(events) > maxRelated}
	slices.SortStableFunc(r.Events, func(x, y signals.RelatedEvent) int { return x.Time.Compare(y.Time) })
	return r
}

// eventsAfter lists the nearest events after the given one, and reports whether there
// are more. It bisects the time span: a span of which Sysdig lists only the newest
// events is too long, and one with too few events is too short. Where no span is
// right, because many events have one time, some of these complete the list.
func (a *Activities) eventsAfter(ctx context.Context, account *sysdig.Client, in *RelatedInput) ([]signals.RelatedEvent, bool, error) {
	var near, far []signals.RelatedEvent
	short, long, span := time.Duration(0), aroundEvent, aroundEvent
	for range maxNarrowings {
		page, oldest, err := a.eventsBetween(ctx, account, in, in.At, in.At.Add(span))
		switch {
		case err != nil:
			return nil, false, err
		case !oldest.IsZero():
			far, long = page, max(short, min(span, oldest.Sub(in.At)))
		case span == aroundEvent:
			return page, false, nil
		case len(page) >= maxRelated:
			return page, true, nil
		default:
			near, short = page, span
		}
		if span = short + (long-short)/2; span <= short {
			break
		}
	}
	return append(near, far...), true, nil
}

// eventsBetween lists the newest events between two times that are of the input's
// container or host. If Sysdig may have more, oldest is the time of the oldest one that
// it lists.
func (a *Activities) eventsBetween(ctx context.Context, account *sysdig.Client, in *RelatedInput, from, to time.Time) (
	related []signals.RelatedEvent, oldest time.Time, err error,
) {
	raws, err := account.Events(ctx, from, to, relatedFilter(in), sysdig.MaxEvents)
	if err != nil {
		return nil, oldest, toTemporal("list the events around it", err)
	}
	events, err := incident.Parse(append(append([]byte("["), bytes.Join(asBytes(raws), []byte(","))...), ']'))
	if err != nil {
		return nil, oldest, fmt.Errorf("read the events around it: %w", err)
	}
	if len(raws) == sysdig.MaxEvents {
		oldest = to
	}
	a.Redactor.Events(events)
	for i := range events {
		of := &events[i].Incident
		if at := of.OccurredAt; !at.IsZero() && at.Before(oldest) {
			oldest = at
		}
		same := in.HostName != "" && of.Host.Name == in.HostName
		if in.ContainerID != "" {
			same = of.Container.ID == in.ContainerID
		}
		if events[i].Adapter == "" || events[i].Ignored != "" || !same {
			continue
		}
		related = append(related, signals.RelatedEvent{
			ID: of.ID, Time: of.OccurredAt, Rule: of.Rule.Name, Severity: of.Severity, Output: signals.Clip(of.Output, maxOutput),
		})
	}
	return related, oldest, nil
}

// relatedFilter is the filter of detections on a host, in a container of it if that
// is known.
func relatedFilter(in *RelatedInput) string {
	filter := `not originator in ("` + strings.Join(incident.NoDetection(), `","`) + `")`
	if in.HostName != "" {
		filter += " and host.hostName = " + sysdig.FilterValue(in.HostName)
	}
	if in.ContainerID != "" {
		filter += " and container.id = " + sysdig.FilterValue(in.ContainerID)
	}
	return filter
}

func asBytes(raws []json.RawMessage) [][]byte {
	all := make([][]byte, len(raws))
	for i, raw := range raws {
		all[i] = raw
	}
	return all
}

// readEvent returns the event as the events API has it. It is nil if the ID is not
// one of Sysdig's, if Sysdig does not know it, or if the token may not see it.
func (a *Activities) readEvent(ctx context.Context, account *sysdig.Client, id string) (*incident.Incident, error) {
	if !incident.SysdigEventID(id) {
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
