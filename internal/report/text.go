package report

import (
	"cmp"
	"strings"
	"time"
	"unicode/utf8"

	"firebreak/signals"
)

// writer builds a page. A page is rendered several times in a workflow task:
// what it appends is not formatted first.
type writer struct {
	b []byte
	// unclipped is set where there is room for everything.
	unclipped bool
}

// raw appends Markdown of our own.
func (w *writer) raw(parts ...string) {
	for _, part := range parts {
		w.b = append(w.b, part...)
	}
}

// text appends what came from outside, escaped and at most so many bytes of it.
// Escaping can double them.
func (w *writer) text(s string, most int) {
	w.b = append(w.b, signals.EscapeMarkdown(w.clip(s, most))...)
}

// code is text that people copy. It is set as code, which Temporal Web leaves
// as it is where it makes dashes and fractions of other text, if that is safe.
func (w *writer) code(s string, most int) {
	s = w.clip(s, most)
	if !verbatim(s) {
		w.b = append(w.b, signals.EscapeMarkdown(s)...)
		return
	}
	w.raw("`", s, "`")
}

func (w *writer) clip(s string, most int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if w.unclipped {
		return s
	}
	return signals.Clip(s, most)
}

// verbatim reports whether s can stand between backticks: they end the code,
// and Temporal Web replaces {workflowId} even there.
func verbatim(s string) bool {
	if s == "" || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < ' ' || c > '~' || c == '`' || c == '{' || c == '}') && !ellipsis(s, i) {
			return false
		}
	}
	return true
}

// ellipsis reports whether byte i is of the mark that Clip leaves at the end.
func ellipsis(s string, i int) bool {
	return i >= len(s)-len("…") && strings.HasSuffix(s, "…")
}

// word appends a word for a shell, within a block of code.
func (w *writer) word(s string) {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@/+,=%") == "" && s != "" {
		w.raw(s)
		return
	}
	w.raw("'", harmless(s), "'")
}

// harmless replaces what would end a quotation or a block of code. No ID that
// Firebreak gives contains such a thing.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '`' || r == '{' || r == '}' || r == '\'' {
			return '_'
		}
		return r
	}, s)
}

// bold is a name in bold. Spaces at its ends would undo that, and so would, for
// Temporal Web, a backslash, though it is escaped.
func (w *writer) bold(s string) {
	s = strings.Trim(signals.EscapeMarkdown(w.clip(s, maxName)), " ")
	if before, found := strings.CutSuffix(s, `\\`); found {
		s = before + "\uFFFD"
	}
	w.raw("**", cmp.Or(s, "?"), "**")
}

// names lists names, as many as fit into so many bytes.
func (w *writer) names(names []string, most int) {
	start := len(w.b)
	for i, name := range names {
		if i > 0 {
			if !w.unclipped && len(w.b)-start+len(name) > most {
				w.raw(" and ")
				w.number(len(names) - i)
				w.raw(" more")
				return
			}
			w.raw(", ")
		}
		w.text(name, maxName)
	}
}

func (w *writer) number(n int) {
	if n < 0 {
		w.raw("-")
		n = -n
	}
	if n >= 10 {
		w.number(n / 10)
	}
	w.b = append(w.b, byte('0'+n%10))
}

// count is a number of things.
func (w *writer) count(n int, thing string) {
	w.number(n)
	w.raw(" ", thing)
	if n != 1 {
		w.raw("s")
	}
}

// layout is that of all times, which are in UTC: the text is rendered when
// something changes, so it tells no time relative to now.
const layout = "2006-01-02 15:04:05"

func (w *writer) time(t time.Time) { w.b = t.UTC().AppendFormat(w.b, layout) }

func (w *writer) timeUTC(t time.Time) {
	w.time(t)
	w.raw(" UTC")
}

// end ends a line. Spaces at its end would break it once more.
func (w *writer) end() {
	for len(w.b) > 0 && w.b[len(w.b)-1] == ' ' {
		w.b = w.b[:len(w.b)-1]
	}
	w.b = append(w.b, '\n')
}

// line is a line of a list.
func (w *writer) line(name string) { w.raw("- **", name, ":** ") }

// within writes what fits before the page has so many bytes, all or nothing.
func (w *writer) within(limit int, write func()) bool {
	before := len(w.b)
	write()
	if w.unclipped || len(w.b) <= limit {
		return true
	}
	w.b = w.b[:before]
	return false
}
