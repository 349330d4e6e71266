package incident

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// decodeText is the objects and arrays that make up a text, none when anything
// else is in it. It holds for the text what holds for a body: numbers keep all
// their digits, and what nests too deep is not read.
func decodeText(s string) []any {
	if !looksLikeJSON(s) || checkDepth([]byte(s), readDepth) != nil {
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
