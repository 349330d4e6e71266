package starter

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"firebreak/internal/httpauth"
	"firebreak/internal/incident"
)

// defaultMaxBody bounds the body of a request as it is sent.
const defaultMaxBody = 1 << 20

// maxExpanded bounds a compressed body once it is expanded. JSON of events
// compresses to about a tenth; a body that was made to exhaust the memory, to a
// thousandth.
const maxExpanded = 8 << 20

// contentTypes are those accepted. What a body is, is seen from its shape:
// Falco declares its JSON as text when it is not configured well.
var contentTypes = []string{
	"application/json", "application/x-ndjson", "application/ndjson",
	"application/jsonl", "application/x-jsonlines", "text/plain",
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

// read reads the events of a request that was admitted.
func (s *Source) read(w http.ResponseWriter, r *http.Request) ([]incident.Event, *problem) {
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
	events, err := incident.Parse(body)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "%v", err)
	}
	return events, nil
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
		return newProblem(http.StatusUnsupportedMediaType, "content encoding %q: want gzip, or none", e).
			with("Accept-Encoding", gzipped)
	}
	declared := header.Get("Content-Type")
	if declared == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(declared)
	if err == nil && slices.Contains(contentTypes, media) {
		return nil
	}
	return newProblem(http.StatusUnsupportedMediaType, "content type %q: want %s, or none",
		declared, strings.Join(contentTypes, ", "))
}
