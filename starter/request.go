package starter

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"firebreak/internal/incident"
)

// maxBody bounds the body of a request.
const maxBody = 1 << 20

// contentTypes are those accepted. What a body is, is seen from its shape:
// Falco declares its JSON as text when it is not configured well.
var contentTypes = []string{
	"application/json", "application/x-ndjson", "application/ndjson",
	"application/jsonl", "application/x-jsonlines", "text/plain",
}

// read checks a request of a source and reads its events.
func (s *Source) read(w http.ResponseWriter, r *http.Request) ([]incident.Event, *problem) {
	if r.Method != http.MethodPost {
		return nil, newProblem(http.StatusMethodNotAllowed, "method %s: want POST", r.Method).with("Allow", http.MethodPost)
	}
	if !s.admits(r) {
		return nil, newProblem(http.StatusUnauthorized, "want a valid bearer token in the Authorization header").
			with("WWW-Authenticate", `Bearer realm="firebreak"`)
	}
	if p := checkType(r.Header); p != nil {
		return nil, p
	}
	tooLarge := newProblem(http.StatusRequestEntityTooLarge, "the body is over the limit of %d bytes", maxBody)
	if r.ContentLength > maxBody {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if exceeded := (*http.MaxBytesError)(nil); errors.As(err, &exceeded) {
		return nil, tooLarge
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body could not be read to its end")
	}
	events, err := incident.Parse(body)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "%v", err)
	}
	return events, nil
}

func checkType(header http.Header) *problem {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return newProblem(http.StatusUnsupportedMediaType, "content encoding %q: want none", encoding)
	}
	declared := header.Get("Content-Type")
	if declared == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(declared)
	if err == nil {
		for _, accepted := range contentTypes {
			if media == accepted {
				return nil
			}
		}
	}
	return newProblem(http.StatusUnsupportedMediaType, "content type %q: want %s, or none",
		declared, strings.Join(contentTypes, ", "))
}
