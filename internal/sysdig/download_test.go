package sysdig_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

const downloads = "/api/v1/captures/*/download"

// downloadable has a capture of size bytes that can be downloaded.
func downloadable(t *testing.T, opts sysdigtest.Options) (sim *sysdigtest.Server, c *sysdig.Client, id int64, want []byte) {
	t.Helper()
	sim, c = simulated(t, opts)
	c.ResumeSoon()
	created, err := c.CreateCapture(t.Context(), capture(t, c))
	require.NoError(t, err)
	captured(t, c, created.ID)
	want, err = io.ReadAll(sysdigtest.CaptureReader(created.ID, opts.CaptureSize))
	require.NoError(t, err)
	return sim, c, created.ID, want
}

// download reads a download to its end.
func download(t *testing.T, c *sysdig.Client, id int64, stall time.Duration) ([]byte, error) {
	t.Helper()
	body, err := c.DownloadCapture(t.Context(), id, stall)
	require.NoError(t, err)
	defer body.Close()
	return io.ReadAll(body)
}

func TestADownloadGoesOnWhereItBrokeOff(t *testing.T) {
	t.Parallel()
	sim, c, id, want := downloadable(t, sysdigtest.Options{CaptureSize: 1 << 20, UploadRate: 1 << 30})
	// Each of them comes to half of what is left.
	sim.Fault(sysdigtest.Fault{Path: downloads, Truncate: true, Times: 6})
	got, err := download(t, c, id, time.Minute)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.Equal(t, 7, sim.Requests("GET", downloads))
}

func TestADownloadOutlivesAServerThatIsAwayForAWhile(t *testing.T) {
	t.Parallel()
	sim, c, id, want := downloadable(t, sysdigtest.Options{CaptureSize: 1 << 20, UploadRate: 1 << 30})
	sim.Fault(sysdigtest.Fault{Path: downloads, Truncate: true, Times: 1})
	sim.Fault(sysdigtest.Fault{Path: downloads, ResetBefore: true, Times: 1})
	sim.Fault(sysdigtest.Fault{Path: downloads, Status: http.StatusBadGateway, Times: 1})
	sim.Fault(sysdigtest.Fault{Path: downloads, Status: http.StatusTooManyRequests, Times: 1})
	got, err := download(t, c, id, time.Minute)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

func TestADownloadThatDoesNotGoOnEndsInWhatBrokeItOff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault    sysdigtest.Fault
		options  sysdigtest.Options
		want     string
		requests int
	}{
		"nothing more comes":     {fault: sysdigtest.Fault{Status: http.StatusBadGateway}, want: "502: Bad Gateway: bad_gateway, and nothing more has come in 4 attempts", requests: 5},
		"Sysdig refuses":         {fault: sysdigtest.Fault{Status: http.StatusForbidden}, want: "403", requests: 2},
		"it is to wait for long": {fault: sysdigtest.Fault{Status: http.StatusTooManyRequests, RetryAfter: time.Hour}, want: "429", requests: 2},
		"the server begins anew": {options: sysdigtest.Options{NoRange: true}, fault: sysdigtest.Fault{Truncate: true}, want: "answered 200: want 206 and the rest of the file; before that: unexpected EOF", requests: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.options.CaptureSize, tc.options.UploadRate = 1<<20, 1<<30
			sim, c, id, want := downloadable(t, tc.options)
			sim.Fault(sysdigtest.Fault{Path: downloads, Truncate: true, Times: 1})
			tc.fault.Path = downloads
			sim.Fault(tc.fault)
			got, err := download(t, c, id, time.Minute)
			require.ErrorContains(t, err, tc.want)
			require.True(t, bytes.HasPrefix(want, got) && len(got) < len(want))
			require.Equal(t, tc.requests, sim.Requests("GET", downloads))
		})
	}
}

func TestOfACaptureThatIsNotThereNothingIsDownloaded(t *testing.T) {
	t.Parallel()
	_, c := simulated(t, sysdigtest.Options{})
	_, err := c.DownloadCapture(t.Context(), 1, time.Minute)
	require.Equal(t, http.StatusNotFound, sysdigError(t, err).StatusCode)
}

func TestTwoFilesAreNeverMixed(t *testing.T) {
	t.Parallel()
	const size = 10
	for name, tc := range map[string]struct {
		first, second http.Header // X-Status of the second is its status, not sent
		want          string      // empty: the file is complete
		ifRange       string
	}{
		"the same ETag": {
			first:  http.Header{"Etag": {`"a"`}, "Last-Modified": {"Sat, 01 Jan 2000 00:00:00 GMT"}},
			second: http.Header{"Etag": {`"a"`}, "Content-Range": {"bytes 4-9/10"}}, ifRange: `"a"`,
		},
		"only a date": {
			first:  http.Header{"Last-Modified": {"Sat, 01 Jan 2000 00:00:00 GMT"}},
			second: http.Header{"Content-Range": {"bytes 4-9/10"}}, ifRange: "Sat, 01 Jan 2000 00:00:00 GMT",
		},
		"only a size": {second: http.Header{"Content-Range": {"bytes 4-9/10"}}},
		"a weak ETag": {
			first: http.Header{"Etag": {`W/"a"`}}, second: http.Header{"Etag": {`W/"a"`}, "Content-Range": {"bytes 4-9/10"}},
		},
		"no size but an ETag": {
			first:  http.Header{"Etag": {`"a"`}, "Transfer-Encoding": {"chunked"}},
			second: http.Header{"Etag": {`"a"`}, "Content-Range": {"bytes 4-9/10"}}, ifRange: `"a"`,
		},
		"neither size nor validator": {first: http.Header{"Transfer-Encoding": {"chunked"}}, want: "gave neither a size nor"},
		"another ETag": {
			first: http.Header{"Etag": {`"a"`}}, second: http.Header{"Etag": {`"b"`}, "Content-Range": {"bytes 4-9/10"}}, ifRange: `"a"`,
			want: `the file has ETag "b" now: want the "a" of before`,
		},
		"another date": {
			first:  http.Header{"Last-Modified": {"Sat, 01 Jan 2000 00:00:00 GMT"}},
			second: http.Header{"Last-Modified": {"Sun, 02 Jan 2000 00:00:00 GMT"}, "Content-Range": {"bytes 4-9/10"}},
			want:   "the file has Last-Modified", ifRange: "Sat, 01 Jan 2000 00:00:00 GMT",
		},
		"another size":         {second: http.Header{"Content-Range": {"bytes 4-9/11"}}, want: "the file has 11 bytes now: want the 10 of before"},
		"another place":        {second: http.Header{"Content-Range": {"bytes 3-9/10"}}, want: `Content-Range "bytes 3-9/10": want one from byte 4`},
		"no place":             {second: http.Header{}, want: `Content-Range ""`},
		"the whole file again": {second: http.Header{"X-Status": {"200"}}, want: "answered 200: want 206"},
		"more than announced":  {second: http.Header{"Content-Range": {"bytes 4-9/10"}, "Transfer-Encoding": {"chunked"}, "X-More": {"yes"}}, want: "longer than the 10 bytes announced"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			var ifRange atomic.Value
			c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				header, body, length, status := tc.first, "0123", size, http.StatusOK
				if requests.Add(1) > 1 {
					ifRange.Store(r.Header.Get("If-Range"))
					header, body, length, status = tc.second, "456789", 6, http.StatusPartialContent
					if header.Get("X-Status") != "" {
						body, length, status = "0123456789", size, http.StatusOK
					}
					if header.Get("X-More") != "" {
						body += "abc"
					}
				}
				for name, values := range header {
					w.Header()[name] = values
				}
				if header.Get("Transfer-Encoding") == "" {
					w.Header().Set("Content-Length", fmt.Sprint(length))
				} else {
					w.Header().Del("Transfer-Encoding")
				}
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
				_ = http.NewResponseController(w).Flush()
				if requests.Load() == 1 {
					panic(http.ErrAbortHandler)
				}
			})
			c.ResumeSoon()
			got, err := download(t, c, 5, time.Minute)
			require.True(t, strings.HasPrefix("0123456789", string(got)), "%q", got)
			if tc.want == "" {
				require.NoError(t, err)
				require.Len(t, got, size)
			} else {
				require.ErrorContains(t, err, tc.want)
			}
			if sent := ifRange.Load(); sent != nil {
				require.Equal(t, tc.ifRange, sent)
			}
			require.LessOrEqual(t, requests.Load(), int32(2))
		})
	}
}

// standingStill is a server whose first answer stops in the middle.
func standingStill(t *testing.T, next http.HandlerFunc) *sysdig.Client {
	t.Helper()
	var requests atomic.Int32
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 1 {
			next(w, r)
			return
		}
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "0123")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	c.ResumeSoon()
	return c
}

func TestADownloadThatStandsStillIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	c := standingStill(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("0123456789"))
	})
	got, err := download(t, c, 5, 500*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(got))

	c = standingStill(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "0123456789") })
	_, err = download(t, c, 5, 500*time.Millisecond)
	require.ErrorContains(t, err, "before that: the download stands still")
}

func TestADownloadThatIsReadSlowlyDoesNotStandStill(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("0123456789", 1<<20) // more than is held on the way
	var requests atomic.Int32
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(want))
	})
	const stall = 200 * time.Millisecond
	body, err := c.DownloadCapture(t.Context(), 5, stall)
	require.NoError(t, err)
	defer body.Close()
	<-time.After(2 * stall) // whoever reads is busy with what it has got
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	require.True(t, want == string(got))
	require.EqualValues(t, 1, requests.Load())
}

func TestADownloadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := standingStill(t, func(http.ResponseWriter, *http.Request) { t.Error("it was taken up again") })
	ctx, cancel := context.WithCancel(t.Context())
	body, err := c.DownloadCapture(ctx, 5, time.Minute)
	require.NoError(t, err)
	defer body.Close()
	_, err = io.ReadFull(body, make([]byte, 4))
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(body)
	require.ErrorIs(t, err, context.Canceled)
}
