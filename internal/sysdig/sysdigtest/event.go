package sysdigtest

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The events feeds, and the source of what they do:
//
//	Next-Gen  GET /secure/events/v1/events      Sysdig's public OpenAPI
//	legacy    GET /api/v1/secureEvents          Sysdig's Python SDK, STIX shifter's connector
//
// Both return the newest event first. What only live tenants or other people's code
// show is marked as such; what nothing shows is refused.

// maxSpan is the longest time a listing may span (Sysdig's public OpenAPI).
const maxSpan = 14 * 24 * time.Hour

// maxEventID is the longest ID of an event (Sysdig's public OpenAPI).
const maxEventID = 32

// event is a security event, with what the simulation needs of it.
type event struct {
	raw       json.RawMessage
	id        string
	timestamp int64 // nanoseconds
	fields    map[string]any
}

// readEvents reads the events that are served, and orders them by time.
func readEvents(raws []json.RawMessage) ([]event, error) {
	events := make([]event, len(raws))
	for i, raw := range raws {
		var head struct {
			ID        string `json:"id"`
			Timestamp int64  `json:"timestamp"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, err
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var fields map[string]any
		if err := dec.Decode(&fields); err != nil {
			return nil, err
		}
		if len(head.ID) > maxEventID {
			return nil, fmt.Errorf("event %q: the ID must have at most %d characters", head.ID, maxEventID)
		}
		events[i] = event{raw, head.ID, head.Timestamp, fields}
	}
	slices.SortStableFunc(events, func(x, y event) int { return cmp.Compare(x.timestamp, y.timestamp) })
	return events, nil
}

// window is a part of the events, by index.
type window struct {
	events []event
	// first and last are the indexes of the oldest and the newest event served.
	first, last int
	total       int
}

// between returns the newest events from one time to another, both included, that
// match a filter.
func (s *Server) between(from, to int64, matches matcher, limit int) window {
	w := window{first: -1, last: -1}
	for i, e := range slices.Backward(s.events) {
		if e.timestamp < from || e.timestamp > to || !matches(&e) {
			continue
		}
		w.total++
		w.add(i, e, limit)
	}
	return w
}

func (w *window) add(i int, e event, limit int) {
	if len(w.events) == limit {
		return
	}
	w.events, w.first = append(w.events, e), i
	if w.last < 0 {
		w.last = i
	}
}

// at returns the events of a cursor. A cursor knows neither the filter nor the time
// from which events were listed: Sysdig's own tools report events "from the wrong
// scope" with one (sysdig/skills), and a developer of Sysdig says that it does not
// honour from (sysdiglabs/sysdig-sdk-python#179). A filter that comes with a cursor
// has no effect either.
func (s *Server) at(cursor string, limit int) (window, *problem) {
	w := window{first: -1, last: -1, total: len(s.events)}
	older, index, ok := parseCursor(cursor)
	if !ok {
		return w, badRequest(`query parameter "cursor": expected one that was handed out`)
	}
	newest := index - 1
	if !older {
		newest = min(index+limit, len(s.events)-1)
	}
	for i := newest; i >= 0 && (older || i > index); i-- {
		w.add(i, s.events[i], limit)
	}
	return w, nil
}

// cursor points to the events older or newer than the one with an index.
func cursor(older bool, index int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%t:%d", older, index))
}

func parseCursor(s string) (older bool, index int, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	direction, number, found := strings.Cut(string(raw), ":")
	older, errOlder := strconv.ParseBool(direction)
	index, errIndex := strconv.Atoi(number)
	return older, index, err == nil && found && errOlder == nil && errIndex == nil
}

// feed returns the events that a request to either feed lists.
func (s *Server) feed(in *input, limit int64) (window, *problem) {
	if p := s.denied(EventsRead); p != nil {
		return window{}, p
	}
	_, hasFrom := in.query["from"]
	_, hasTo := in.query["to"]
	at, paged := in.query["cursor"].(string)
	text, _ := in.query["filter"].(string)
	matches, err := parseFilter(text)
	from, to := in.number("from", 0), in.number("to", 0)
	switch {
	case err != nil:
		return window{}, badRequest(`query parameter "filter": %s`, err)
	case paged && (hasFrom || hasTo): // "mutually exclusive", Sysdig's public OpenAPI
		return window{}, badRequest(`query parameter "cursor": must not be used with "from" and "to"`)
	case paged:
		return s.at(at, int(limit))
	case !hasFrom || !hasTo: // the text of a live tenant (epp42/sysdig-cli)
		return window{}, badRequest("from and/or to is unset")
	case from >= to || time.Duration(to-from) > maxSpan:
		return window{}, badRequest(`query parameter "from": must be before "to", by at most two weeks`)
	}
	return s.between(from, to, matches, int(limit)), nil
}

// listEvents answers GET on the events of the Next-Gen feed. Its page has a cursor
// "next" to older events, which is absent at the end, and "prev" to newer ones
// (Sysdig's public OpenAPI; Elastic's Sysdig integration).
func (s *Server) listEvents(in *input) (any, *problem) {
	w, p := s.feed(in, in.number("limit", 25))
	if p != nil {
		return nil, p
	}
	data, page := []any{}, map[string]any{"total": w.total}
	for _, e := range w.events {
		data = append(data, e.raw)
	}
	if _, paged := in.query["cursor"]; len(data) > 0 && (paged && w.first > 0 || !paged && w.total > len(data)) {
		page["next"] = cursor(true, w.first)
	}
	if len(data) > 0 && w.last < len(s.events)-1 {
		page["prev"] = cursor(false, w.last)
	}
	return map[string]any{"data": data, "page": page}, nil
}

// getEvent answers GET on an event of the Next-Gen feed. An ID that is too long for
// one is a bad request (Sysdig's public OpenAPI).
func (s *Server) getEvent(in *input) (any, *problem) {
	e, p := s.event(in)
	if p != nil {
		return nil, p
	}
	return e.raw, nil
}

func (s *Server) event(in *input) (*event, *problem) {
	if p := s.denied(EventsRead); p != nil {
		return nil, p
	}
	if len(in.id) > maxEventID {
		return nil, badRequest("event ID: must have at most %d characters", maxEventID)
	}
	for i := range s.events {
		if s.events[i].id == in.id {
			return &s.events[i], nil
		}
	}
	return nil, notFound("no event %q", in.id)
}

// listLegacyEvents answers GET on the events of the legacy feed. "prev" leads to
// older events, and is there even at the end (Sysdig's Python SDK, STIX shifter's
// connector). The default limit is inferred from a program that pages through it. The
// parameters from and to are required, because no known client leaves them out. The
// permission is not known; the one of the Next-Gen feed is assumed.
func (s *Server) listLegacyEvents(in *input) (any, *problem) {
	w, p := s.feed(in, in.number("limit", 100))
	if p != nil {
		return nil, p
	}
	data := []any{}
	for _, e := range w.events {
		data = append(data, s.legacy(&e))
	}
	return map[string]any{"data": data, "page": map[string]any{"prev": cursor(true, max(w.first, 0))}}, nil
}

// getLegacyEvent answers GET on an event of the legacy feed (Sysdig's Python SDK).
func (s *Server) getLegacyEvent(in *input) (any, *problem) {
	e, p := s.event(in)
	if p != nil {
		return nil, p
	}
	return s.legacy(e), nil
}

// legacyStatus answers GET on the status of the legacy feed, which STIX shifter's
// connector uses as a ping. Nothing is known of the answer's body.
func (s *Server) legacyStatus(*input) (any, *problem) {
	if p := s.denied(EventsRead); p != nil {
		return nil, p
	}
	return map[string]any{}, nil
}

// legacy returns an event in the form of the legacy feed (README and fixture of STIX
// shifter's connector): a textual timestamp, customer, agent, container and machine
// beside the envelope, and no type of the content.
func (s *Server) legacy(e *event) map[string]any {
	item := maps.Clone(e.fields)
	content, _ := item["content"].(map[string]any)
	content = maps.Clone(content)
	delete(content, "type")
	fields, _ := content["fields"].(map[string]any)
	container, _ := fields["container.id"].(string)
	if container == "host" {
		container = ""
	}
	item["content"], item["containerId"], item["customerId"] = content, container, s.opts.CustomerID
	item["timestamp"] = time.Unix(0, e.timestamp).UTC().Format(time.RFC3339Nano)
	for _, h := range s.opts.Hosts {
		if h.Name == lookUp(e.fields, "host.hostName") {
			item["agentId"], item["machineId"] = h.AgentID, h.MAC
		}
	}
	return item
}
