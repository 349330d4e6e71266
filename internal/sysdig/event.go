package sysdig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// eventsPath is the feed of security events, on the API host (Sysdig's public
// OpenAPI).
const eventsPath = "/secure/events/v1/events"

// The bounds of a listing of events (Sysdig's public OpenAPI).
const (
	MaxEvents     = 200
	MaxEventsSpan = 14 * 24 * time.Hour
	maxFilter     = 2048 // characters
)

// maxEventID is the longest ID of an event (Sysdig's public OpenAPI).
const maxEventID = 32

// Event returns a security event as Sysdig has it (GET by ID, Sysdig's public
// OpenAPI). What it holds depends on its content's type, and is not this
// package's to know.
func (c *Client) Event(ctx context.Context, id string) (json.RawMessage, error) {
	if !validEventID(id) {
		return nil, fmt.Errorf("get event: id %q: expected the ID of an event of Sysdig, of at most %d letters, digits, - and _", id, maxEventID)
	}
	var a eventAnswer
	if err := c.call(ctx, request{method: http.MethodGet, base: c.api, path: eventsPath + "/" + url.PathEscape(id)}, &a); err != nil {
		return nil, fmt.Errorf("get event %s: %w", id, err)
	}
	return json.RawMessage(a), nil
}

// Events returns the newest security events between two times, the newest first,
// each as Sysdig has it (GET on the collection, Sysdig's public OpenAPI). The limit is
// from 1 to MaxEvents, and the times are at most MaxEventsSpan apart. The filter is an
// expression like `severity in ("0","1") and host.hostName = "web-1"`, with values as
// FilterValue writes them; empty lists all.
func (c *Client) Events(ctx context.Context, from, to time.Time, filter string, limit int) ([]json.RawMessage, error) {
	switch {
	case limit < 1 || limit > MaxEvents:
		return nil, fmt.Errorf("list events: limit %d: want 1 to %d", limit, MaxEvents)
	case len(filter) > maxFilter:
		return nil, fmt.Errorf("list events: filter of %d characters: must have at most %d", len(filter), maxFilter)
	case !from.Before(to) || to.Sub(from) > MaxEventsSpan:
		return nil, fmt.Errorf("list events: from %s to %s: want a time before, by at most %s",
			from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), MaxEventsSpan)
	}
	query := url.Values{
		"from":  {strconv.FormatInt(from.UnixNano(), 10)},
		"to":    {strconv.FormatInt(to.UnixNano(), 10)},
		"limit": {strconv.Itoa(limit)},
	}
	if filter != "" {
		query.Set("filter", filter)
	}
	var a eventList
	if err := c.call(ctx, request{method: http.MethodGet, base: c.api, path: eventsPath, query: query}, &a); err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	events := make([]json.RawMessage, len(a.Data.items))
	for i, item := range a.Data.items {
		events[i] = json.RawMessage(item)
	}
	return events, nil
}

// eventAnswer is an event, untouched.
type eventAnswer json.RawMessage

func (a *eventAnswer) UnmarshalJSON(raw []byte) error {
	*a = bytes.Clone(raw)
	return nil
}

func (a *eventAnswer) check() error {
	if !bytes.HasPrefix(*a, []byte("{")) {
		return errors.New("the event is not an object")
	}
	return nil
}

type eventList struct {
	Data list[eventAnswer] `json:"data"`
}

func (a *eventList) check() error {
	if !a.Data.present {
		return errors.New(`no "data"`)
	}
	for i := range a.Data.items {
		if err := a.Data.items[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// FilterValue returns a value as a filter has it: in double quotes, escaped by
// backslashes (Sysdig's public OpenAPI).
func FilterValue(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// validEventID reports whether an event of Sysdig can have the ID. Sysdig's are
// hexadecimal digits, which its description does not promise.
func validEventID(id string) bool {
	return id != "" && len(id) <= maxEventID &&
		strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// validID refuses IDs that would address something else in a path: an empty
// one, "." and "..".
func validID(id string) bool { return strings.Trim(id, ".") != "" }
