package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"firebreak/internal/incident"
)

// The values of --output.
const (
	outputText = "text"
	outputJSON = "json"
)

// print writes v as JSON where that was asked for, and by text otherwise.
func (s *session) print(v any, text func(io.Writer) error) error {
	if s.output == outputText {
		return text(s.Stdout)
	}
	encoder := json.NewEncoder(s.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// plain makes a text safe for a terminal: events and people write it, and it
// must neither move the cursor nor forge a line. What it cannot show becomes
// U+FFFD, line breaks and tabs become spaces.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		default:
			return r
		}
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

// table aligns columns. Every cell is made plain.
type table struct {
	w      *tabwriter.Writer
	indent string
}

func newTable(w io.Writer, indent string) *table {
	return &table{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0), indent: indent}
}

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = plain(cell)
	}
	// What cannot be written is reported by flush.
	_, _ = fmt.Fprintln(t.w, t.indent+strings.Join(cells, "\t"))
}

func (t *table) flush() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// fieldRows adds the fields that an incident has.
func (t *table) fieldRows(inc *incident.Incident) {
	for _, path := range incident.FieldPaths() {
		if value, _ := inc.Field(path); value != "" {
			t.row(path, value)
		}
	}
	if !inc.OccurredAt.IsZero() {
		t.row("occurred_at", timestamp(inc.OccurredAt))
	}
	for _, action := range inc.Actions {
		t.row("done by policy", fmt.Sprintf("%s, successful: %t %s", action.Type, action.Successful, action.Error))
	}
}

// timestamp is how people see a time.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
