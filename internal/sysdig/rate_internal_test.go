package sysdig

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	readRequest  = request{method: http.MethodGet, path: "/read"}
	writeRequest = request{method: http.MethodPost, path: "/write"}
)

func answered(status int, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

func limitedTo(perMinute int) *bucket {
	b := newBucket()
	b.learn(answered(200, "X-RateLimit-Limit", strconv.Itoa(perMinute)))
	return b
}

func TestUnknownRateLimitLimitsNothing(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{"absent": "", "zero": "0", "negative": "-1", "too large": "4097", "no number": "many"} {
		synctest.Test(t, func(t *testing.T) {
			b, begun := newBucket(), time.Now()
			b.learn(answered(200, "X-RateLimit-Limit", header))
			for range 10_000 {
				require.NoError(t, b.turn(t.Context(), &readRequest), name)
			}
			require.Zero(t, time.Since(begun), name)
		})
	}
}

// No minute has more requests than the limit, wherever it begins.
func TestRequestsKeepToTheAnnouncedLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 3, 7, 60, 600} {
		synctest.Test(t, func(t *testing.T) {
			b := limitedTo(limit)
			var sent []time.Time
			for begun := time.Now(); time.Since(begun) < 5*time.Minute; {
				req := &readRequest
				if len(sent)%3 == 0 {
					req = &writeRequest
				}
				if b.turn(t.Context(), req) == nil {
					sent = append(sent, time.Now())
					continue
				}
				require.NoError(t, sleep(t.Context(), time.Second))
			}
			allowed := max(limit, 2) // of a limit of 1 two may be a minute apart
			for i := range sent {
				if i >= allowed {
					require.Greater(t, sent[i].Sub(sent[i-allowed]), time.Minute-time.Millisecond, "limit %d, request %d", limit, i)
				}
			}
			require.GreaterOrEqual(t, len(sent), 5*limit*2/3-1, "limit %d is used", limit)
		})
	}
}

func TestWritesGoBeforeReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := limitedTo(60) // 15 at once, of which reads leave 3
		for range 12 {
			require.NoError(t, b.turn(t.Context(), &readRequest))
		}
		var order []string
		var mu sync.Mutex
		var all sync.WaitGroup
		send := func(req *request) {
			all.Go(func() {
				if b.turn(t.Context(), req) == nil {
					mu.Lock()
					order = append(order, req.method)
					mu.Unlock()
				}
			})
		}
		for range 5 {
			send(&readRequest)
		}
		synctest.Wait()
		require.Empty(t, order, "the rest is for writes")
		for range 5 {
			send(&writeRequest)
		}
		all.Wait()
		require.Equal(t, []string{"POST", "POST", "POST", "POST", "POST", "GET", "GET", "GET", "GET", "GET"}, order)
	})
}

func TestTooManyRequestsEmptiesTheBucket(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{"known limit": "60", "unknown limit": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, begun := newBucket(), time.Now()
				b.learn(answered(429, "X-RateLimit-Limit", limit, "Retry-After", "20"))
				require.NoError(t, b.turn(t.Context(), &writeRequest))
				require.GreaterOrEqual(t, time.Since(begun), 20*time.Second)
			})
		})
	}
}

// What is longer than the minute in which the limit counts delays one request only.
func TestLongRetryAfterHoldsUpNoOtherRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, begun := limitedTo(60), time.Now()
		b.learn(answered(429, "X-RateLimit-Limit", "60", "Retry-After", "1200"))
		require.NoError(t, b.turn(t.Context(), &writeRequest))
		require.InDelta(t, 4./3, time.Since(begun).Seconds(), 0.01, "the bucket is empty, and fills at its pace")
	})
}

// A request that would wait for long is not sent, and nothing waits in a worker.
func TestLongWaitIsAnErrorThatSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, begun := newBucket(), time.Now()
		b.learn(answered(429, "Retry-After", "45"))
		err := b.turn(t.Context(), &writeRequest)
		var answer *Error
		require.ErrorAs(t, err, &answer)
		require.Equal(t, http.StatusTooManyRequests, answer.StatusCode)
		require.Equal(t, 45*time.Second, answer.RetryAfter)
		require.False(t, MayHaveTakenEffect(err))
		require.Zero(t, time.Since(begun))
	})
	synctest.Test(t, func(t *testing.T) {
		b := limitedTo(60)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		sent, refused := 0, 0
		for ctx.Err() == nil && refused == 0 {
			if err := b.turn(ctx, &readRequest); err != nil {
				var answer *Error
				require.True(t, errors.As(err, &answer))
				refused++
				continue
			}
			sent++
		}
		require.Equal(t, 1, refused, "before the deadline, not at it")
		require.NoError(t, ctx.Err())
	})
}
