// Package codec is the codec server: Temporal Web and the temporal CLI send it
// what Temporal has, and get it back in the clear, and the other way round, as
// Temporal's remote data encoders do (POST …/encode and …/decode with a
// temporal.api.common.v1.Payloads as JSON). It holds the keys and no payload, and
// talks to no Temporal: a namespace that it is told means nothing to it.
//
// Whoever it lets in reads every incident. So it does not start without
// authentication, listens on loopback unless told otherwise, and answers pages of
// no origin that is not written down.
package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/converter"

	"firebreak/internal/httpauth"
)

// maxBody bounds what is sent at a time, in bytes. Temporal answers with 4 MiB of
// a history at most, and JSON has them in base64.
const maxBody = 8 << 20

// Way is a way to authenticate, with the secrets that it takes.
type Way struct {
	httpauth.Auth
	Secrets []string
}

// Config is what a Handler needs; all of it but the origins is required.
type Config struct {
	Codec   converter.PayloadCodec
	Ways    []Way
	Origins []string
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Handler is the codec server: POST /encode and /decode, and the same below
// /{secret} where the secret is in the path.
type Handler struct {
	ways     []Way
	origins  []string
	codec    http.Handler
	requests *prometheus.CounterVec
	log      *slog.Logger
	mux      *http.ServeMux
}

// NewHandler returns a codec server.
func NewHandler(c Config) (*Handler, error) {
	if len(c.Ways) == 0 {
		return nil, errors.New(`codec.auth: it is missing; want a way to authenticate, like {type: bearer, secrets: ["${FIREBREAK_CODEC_TOKEN}"]}: whoever the server answers reads every incident`)
	}
	h := &Handler{
		ways: c.Ways, origins: c.Origins, codec: converter.NewPayloadCodecHTTPHandler(c.Codec), log: c.Log, mux: http.NewServeMux(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firebreak_codec_requests_total", Help: "Requests to the codec server, by operation and status of the answer.",
		}, []string{"operation", "status"}),
	}
	if err := c.Metrics.Register(h.requests); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	for _, operation := range []string{"encode", "decode"} {
		serve := func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, operation) }
		h.mux.HandleFunc("/"+operation, serve)
		h.mux.HandleFunc("/{secret}/"+operation, serve)
	}
	return h, nil
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, operation string) {
	answer := &answer{ResponseWriter: w, status: http.StatusOK}
	reason := h.answer(answer, r)
	h.requests.WithLabelValues(operation, strconv.Itoa(answer.status)).Inc()
	if reason != nil {
		h.log.Warn("request refused", "operation", operation, "status", answer.status, "reason", reason, "remote", r.RemoteAddr)
	}
}

// answer answers a request. The error is for our log: why it was refused.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if err := h.allow(w, r); err != nil {
		http.Error(w, "pages of this origin may not ask here", http.StatusForbidden)
		return err
	}
	switch r.Method {
	case http.MethodPost:
	case http.MethodOptions: // a browser asks so first, without credentials
		w.Header().Set("Access-Control-Allow-Methods", http.MethodPost)
		// What Temporal Web sends (src/lib/utilities/core-codec-client.ts).
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Authorization-Extras, Content-Type, X-Namespace")
		w.Header().Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return fmt.Errorf("method %q", r.Method)
	}
	if err := h.admit(w, r); err != nil {
		http.Error(w, "want one of the ways to authenticate of codec.auth", http.StatusUnauthorized)
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		http.Error(w, fmt.Sprintf("the body is over the limit of %d bytes", maxBody), http.StatusRequestEntityTooLarge)
		return err
	case err != nil:
		http.Error(w, "the body could not be read to its end", http.StatusBadRequest)
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	h.codec.ServeHTTP(w, r)
	return nil
}

// allow lets pages of the origins in, and who is no page.
func (h *Handler) allow(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	if !slices.Contains(h.origins, origin) {
		return fmt.Errorf("origin %q is not one of codec.origins", origin)
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	return nil
}

// admit lets in who authenticates in any of the ways.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request) error {
	var refused []error
	for _, way := range h.ways {
		err := way.Admits(r, way.Secrets)
		if err == nil {
			return nil
		}
		scheme, _ := way.Challenge()
		w.Header().Add("WWW-Authenticate", scheme+` realm="firebreak"`)
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}

// answer remembers the status of an answer.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}
