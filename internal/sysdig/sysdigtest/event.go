package sysdigtest

import (
	"bytes"
	"encoding/json"
	"time"
)

// maxSpan is the longest time a listing may span (Sysdig's public OpenAPI).
const maxSpan = 14 * 24 * time.Hour

// event is a security event, with what the simulation needs of it.
type event struct {
	raw       json.RawMessage
	id        string
	timestamp int64 // nanoseconds
	fields    map[string]any
}

// readEvents reads the events that are served.
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
		events[i] = event{raw, head.ID, head.Timestamp, fields}
	}
	return events, nil
}

// listEvents answers GET on the events, the newest first.
func (s *Server) listEvents(in *input) (any, *problem) {
	if p := s.denied(EventsRead); p != nil {
		return nil, p
	}
	from, to := in.number("from", 0), in.number("to", 0)
	if _, paged := in.query["cursor"]; paged {
		return nil, badRequest(`query parameter "cursor": want one that was handed out`)
	}
	if from >= to || time.Duration(to-from) > maxSpan {
		return nil, badRequest(`query parameter "from": want a time before "to", by at most two weeks`)
	}
	text, _ := in.query["filter"].(string)
	matches, err := parseFilter(text)
	if err != nil {
		return nil, badRequest(`query parameter "filter": %s`, err)
	}
	data, total, limit := []any{}, 0, in.number("limit", 25)
	for i := len(s.events) - 1; i >= 0; i-- {
		e := s.events[i]
		if e.timestamp < from || e.timestamp > to || !matches(e.fields) {
			continue
		}
		if total++; int64(len(data)) < limit {
			data = append(data, e.raw)
		}
	}
	return map[string]any{"data": data, "page": map[string]any{"total": total}}, nil
}

// getEvent answers GET on an event.
func (s *Server) getEvent(in *input) (any, *problem) {
	if p := s.denied(EventsRead); p != nil {
		return nil, p
	}
	for _, e := range s.events {
		if e.id == in.id {
			return e.raw, nil
		}
	}
	return nil, notFound("no event %q", in.id)
}
