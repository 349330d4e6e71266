package starter

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// problem is an answer that is an error, as RFC 9457 has it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`

	header [2]string // one more header of the answer, if any
	cause  string    // more than the sender is told, for our log
}

// newProblem returns a problem whose detail is for the sender's operator.
func newProblem(status int, format string, args ...any) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// with adds a header.
func (p *problem) with(name, value string) *problem {
	p.header = [2]string{name, value}
	return p
}

func (p *problem) write(w http.ResponseWriter) {
	if p.header[0] != "" {
		w.Header().Set(p.header[0], p.header[1])
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, value any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	// The status is sent: nothing is left to do for a sender that went away.
	_ = json.NewEncoder(w).Encode(value)
}
