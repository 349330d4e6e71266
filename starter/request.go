package starter

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"firebreak/internal/httpauth"
)

// defaultMaxBody bounds the body of a request as it is sent.
const defaultMaxBody = 1 << 20

// maxExpanded bounds a compressed body once it is expanded. JSON of events
// compresses to about a tenth; a body that was made to exhaust the memory, to a
// thousandth.
const maxExpanded = 8 << 20

// contentTypes are those accepted beside every type with the suffix +json. The
// body's shape decides what it is: Falco declares its JSON as text when it is not
// configured well.
var contentTypes = []string{
	"application/json", "application/x-ndjson", "application/ndjson",
	"application/jsonl", "application/x-jsonlines", "application/jsonlines", "text/plain",
}

// admit decides what can be decided before the body of a request is read: nil
// lets it in.
func (s *Source) admit(r *http.Request) *problem {
	if _, inPath := s.Auth.(httpauth.Path); r.PathValue("secret") != "" && !inPath {
		return newProblem(http.StatusNotFound, "want POST /v1/events/{source}")
	}
	if r.Method != http.MethodPost {
		return newProblem(http.StatusMethodNotAllowed, "method %s: want POST", r.Method).with("Allow", http.MethodPost)
	}
	if err := cmp.Or(s.allows(r), s.auth().Admits(r, s.Secrets)); err != nil {
		return s.unauthorized(err)
	}
	if p := checkType(r.Header); p != nil {
		return p
	}
	if r.ContentLength > s.maxBody() {
		return s.tooLarge()
	}
	return nil
}

// read reads the body of a request that was admitted, and decompresses it.
func (s *Source) read(w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.maxBody()))
	if exceeded := (*http.MaxBytesError)(nil); errors.As(err, &exceeded) {
		return nil, s.tooLarge()
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body could not be read to its end")
	}
	if a, ok := s.auth().(httpauth.BodyAuth); ok {
		if err := a.Signed(r, body, s.Secrets); err != nil {
			return nil, s.unauthorized(err)
		}
	}
	if encoding(r.Header) == gzipped {
		var p *problem
		if body, p = expand(body, max(maxExpanded, s.maxBody())); p != nil {
			return nil, p
		}
	}
	return body, nil
}

func (s *Source) maxBody() int64 { return cmp.Or(s.MaxBody, defaultMaxBody) }

func (s *Source) tooLarge() *problem {
	return newProblem(http.StatusRequestEntityTooLarge, "the body is over the limit of %d bytes", s.maxBody())
}

// The content encodings that are accepted.
const (
	identity = "identity"
	gzipped  = "gzip"
)

// encoding is how a body is encoded, in its usual spelling. More than one
// encoding is none that is accepted.
func encoding(header http.Header) string {
	switch declared := strings.ToLower(strings.Join(header.Values("Content-Encoding"), ", ")); declared {
	case "":
		return identity
	case "x-gzip": // the same, says RFC 9110
		return gzipped
	default:
		return declared
	}
}

// expand decompresses a body.
func expand(body []byte, limit int64) ([]byte, *problem) {
	var expanded []byte
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		expanded, err = io.ReadAll(io.LimitReader(z, limit+1))
	}
	switch {
	case int64(len(expanded)) > limit:
		return nil, newProblem(http.StatusRequestEntityTooLarge, "the body expands over the limit of %d bytes", limit)
	case err != nil:
		return nil, newProblem(http.StatusBadRequest, "the body is not gzip as it is declared: %v", err)
	}
	return expanded, nil
}

func checkType(header http.Header) *problem {
	if e := encoding(header); e != identity && e != gzipped {
		return newProblem(http.StatusUnsupportedMediaType, "content encoding %q: expected gzip, or none", e).
			with("Accept-Encoding", gzipped)
	}
	declared := header.Get("Content-Type")
	if declared == "" || acceptable(declared) {
		return nil
	}
	return newProblem(http.StatusUnsupportedMediaType, "content type %q: expected %s, a type with the suffix +json, or none",
		declared, strings.Join(contentTypes, ", "))
}

// acceptable reports whether a content type is one of contentTypes or has the suffix
// +json (RFC 6839). Its parameters do not matter.
func acceptable(declared string) bool {
	media, _, _ := strings.Cut(declared, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	kind, subtype, _ := strings.Cut(media, "/")
	name, json := strings.CutSuffix(subtype, "+json")
	return slices.Contains(contentTypes, media) || json && isToken(kind) && isToken(name)
}

// isToken reports whether s is a name of a media type (RFC 6838).
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+") == ""
}
