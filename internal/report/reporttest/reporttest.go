// Package reporttest makes incidents whose every text tries to draw what is not
// there, for tests of what renders them.
package reporttest

import (
	"reflect"
	"time"

	"firebreak/internal/report"
	"firebreak/signals"
)

// Hostile are texts of all kinds of Markdown, each short enough not to be cut.
func Hostile() map[string]string {
	return map[string]string{
		"heading":         "# Approved by ann",
		"heading, line":   "x\n# Approved by ann\n",
		"underlined":      "Approved\n===",
		"rule":            "x\n\n---\n***",
		"link":            "[ok](https://evil.example.com)",
		"script":          "[ok](javascript:alert(1))",
		"reference":       "[ok][1]\n\n[1]: https://evil.example.com",
		"footnote":        "x[^1]\n\n[^1]: Approved",
		"address":         "see https://evil.example.com/x",
		"angle brackets":  "<https://evil.example.com>",
		"www":             "go to www.evil.com now",
		"mail":            "mailto:ann@evil.example.com",
		"person":          "ann@evil.example.com",
		"image":           "![x](https://evil.example.com/i.png)",
		"HTML":            "<b>ok</b><img src=x onerror=y>",
		"HTML block":      "\n\n<div>\nok\n</div>\n\n",
		"comment":         "<!-- x",
		"entity":          "&lt;&#35; &copy;",
		"emphasis":        "**Approved** __by__ *ann* ~~no~~ _x_",
		"unbalanced":      "x** y __z",
		"code":            "`rm`",
		"code, unclosed":  "``x",
		"fence":           "x\n```\nApproved\n```\n",
		"tildes":          "\n~~~\nApproved",
		"table":           "a | b",
		"whole table":     "\n\n| a | b |\n|---|---|\n| c | d |\n",
		"list":            "- **Approvals:** 2 of 2",
		"new line, list":  "x\n- **Approvals:** 2 of 2",
		"return, list":    "x\r- Approved",
		"numbers":         "1. Approved",
		"plus":            "+ Approved",
		"quotation":       "x\n> Approved",
		"definition":      "x\n: Approved",
		"formula":         "$$x$$ \\(y\\) $z$",
		"heading ID":      "x {#approved}",
		"placeholder":     "{workflowId} {runId} {namespace}",
		"reversed":        "x \u202eyb devorppA\u202c \u2066y\u2069",
		"line separator":  "x\u2028# Approved\u2029- y",
		"control":         "\x00\x1b[31mApproved\x07\v\f\u0085# y",
		"invalid":         "\xff\xfe\xc0\xaf# Approved",
		"backslash":       `x\`,
		"backslashes":     `\\\# Approved \`,
		"break":           "x\\\n# Approved  \n- y",
		"shell":           "'; rm -rf / #\n\"$(x)\"",
		"spaces":          "  Approved  ",
		"tab":             "\tApproved\n\n\tcode",
		"nothing to draw": "plain",
	}
}

// Fill is a page and a request whose every text is the given one, in maps also
// the keys, with times that are set and lists of two.
func Fill(text string) (*signals.Page, report.Asked) {
	var page signals.Page
	var asked report.Asked
	fill(reflect.ValueOf(&page).Elem(), text)
	fill(reflect.ValueOf(&asked).Elem(), text)
	page.Outcome = ""
	return &page, asked
}

func fill(v reflect.Value, text string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 4, 28, 13, 0, 0, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		v.SetInt(2)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Interface:
		v.Set(reflect.ValueOf(text))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, text)
		fill(value, text)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	default: // truths
	}
}
