package incident

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// decodeText returns the objects and arrays that make up a text: one value, or
// several after one another, or exactly one behind a log header. It returns none
// if anything else is in the text. The rules of a body hold: numbers keep all their
// digits, and a text that nests too deep is not read.
func decodeText(s string) []any {
	if looksLikeJSON(s) {
		return decodeSequence(s)
	}
	if message, ok := afterHeader(s); ok {
		if decoded := decodeSequence(message); len(decoded) == 1 {
			return decoded
		}
	}
	return nil
}

func decodeSequence(s string) []any {
	if checkDepth([]byte(s), readDepth) != nil {
		return nil
	}
	s = strings.TrimPrefix(s, utf8BOM)
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var decoded []any
	for {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return decoded
		} else if err != nil {
			return nil
		}
		switch v.(type) {
		case map[string]any, []any:
			decoded = append(decoded, v)
		default:
			return nil
		}
	}
}

// looksLikeJSON reports whether a text begins like an object or an array.
func looksLikeJSON(s string) bool {
	s = strings.TrimLeft(strings.TrimPrefix(s, utf8BOM), " \t\r\n")
	return s != "" && (s[0] == '{' || s[0] == '[')
}

// mayHoldMessage reports whether a text begins like JSON, or with a log header and
// JSON behind it.
func mayHoldMessage(s string) bool {
	if looksLikeJSON(s) {
		return true
	}
	_, ok := afterHeader(s)
	return ok
}
