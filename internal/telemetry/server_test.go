package telemetry_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"firebreak/internal/telemetry"
)

func serve(t *testing.T, handler http.Handler, ready *telemetry.Readiness) *telemetry.Server {
	t.Helper()
	s := telemetry.NewServer("127.0.0.1:0", ready, prometheus.NewRegistry(),
		slog.New(slog.NewTextHandler(io.Discard, nil)), func(err error) { t.Error(err) })
	s.Handle("/", handler)
	require.NoError(t, s.Start(t.Context()))
	return s
}

func status(t *testing.T, method, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, answer.Body)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

func TestProbesShareTheListenerWithTheRest(t *testing.T) {
	t.Parallel()
	s := serve(t, http.NotFoundHandler(), telemetry.NewReadiness(func(context.Context) error { return errors.New("down") }))
	defer func() { require.NoError(t, s.Stop(t.Context())) }()
	url := "http://" + s.Address()
	require.Equal(t, http.StatusOK, status(t, http.MethodGet, url+"/livez"))
	require.Equal(t, http.StatusServiceUnavailable, status(t, http.MethodGet, url+"/readyz"))
	require.Equal(t, http.StatusOK, status(t, http.MethodGet, url+"/metrics"))
	require.Equal(t, http.StatusNotFound, status(t, http.MethodGet, url+"/other"))
}

func TestStoppingAnswersTheRequestsUnderWay(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	ready := telemetry.NewReadiness(func(context.Context) error { return nil })
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.WriteHeader(http.StatusAccepted)
	}), ready)
	request := make(chan int)
	go func() { request <- status(t, http.MethodPost, "http://"+s.Address()+"/slow") }()
	<-arrived
	stopped := make(chan error)
	go func() { stopped <- s.Stop(t.Context()) }()
	require.Eventually(t, func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Address())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond, "no new requests while it stops")
	close(release)
	require.Equal(t, http.StatusAccepted, <-request)
	require.NoError(t, <-stopped)
	require.EqualError(t, ready.Ready(t.Context()), "shutting down")
}

func TestAStopThatTakesTooLongCutsTheRequests(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}), telemetry.NewReadiness(func(context.Context) error { return nil }))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address()+"/slow", nil)
	require.NoError(t, err)
	request := make(chan error)
	go func() {
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		request <- err
	}()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Stop(ctx), context.Canceled)
	require.Error(t, <-request)
}
