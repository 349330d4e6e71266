package sysdig

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxLimit is the largest X-RateLimit-Limit (Sysdig's public OpenAPI). Another
	// value says nothing.
	maxLimit = 4096
	// maxTurn bounds the time for which a request waits for its turn. One that would
	// wait longer is not sent, and its error says when to come back: so it does not
	// occupy a worker.
	maxTurn = 30 * time.Second
	// turnMargin is left of the caller's deadline for the request itself.
	turnMargin = 5 * time.Second
)

// bucket is the token bucket of an account: every request takes a token. Its size
// comes from the header X-RateLimit-Limit, in requests per minute, which every
// answer of the API host has (Sysdig's public OpenAPI). Until the header is known
// the bucket limits nothing.
//
// A quarter of a minute's requests may go out at once, and the rest at an even
// pace, so that no minute has more than the limit, wherever Sysdig begins to count.
// Requests that change something go first: a request that only reads leaves a
// quarter of the bucket to them and goes behind those that wait.
//
// After an answer 429 with Retry-After the bucket is empty. If that time is at most
// a minute, which is what the limit counts in, nothing is sent until it has passed. A
// longer one is not about the limit of the account: it delays the request that was
// answered so, and no other.
type bucket struct {
	mu sync.Mutex
	// limit is the last one that was announced, 0 before.
	limit  int
	tokens *rate.Limiter
	// reserve is what a request that only reads leaves in the bucket.
	reserve float64
	// until is when Sysdig accepts requests again.
	until time.Time
	// line is held by the request that waits to read. Another one waits behind it.
	line chan struct{}
}

func newBucket() *bucket { return &bucket{line: make(chan struct{}, 1)} }

// turn waits until a request may be sent. It returns an *Error with status 429 if
// that takes too long.
func (b *bucket) turn(ctx context.Context, req *request) error {
	latest := time.Now().Add(maxTurn)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-turnMargin).Before(latest) {
		latest = deadline.Add(-turnMargin)
	}
	if !req.changes() && b.known() {
		if err := b.queue(ctx, req, latest); err != nil {
			return err
		}
		defer func() { <-b.line }()
	}
	for {
		wait, taken := b.take(req, latest)
		switch {
		case wait == 0:
			return nil
		case time.Now().Add(wait).After(latest):
			return tooBusy(req, wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		// Sysdig may have asked to wait meanwhile.
		if taken && b.open() {
			return nil
		}
	}
}

// queue waits until the request is the first one in line.
func (b *bucket) queue(ctx context.Context, req *request, latest time.Time) error {
	select {
	case b.line <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(latest))
	defer timer.Stop()
	select {
	case b.line <- struct{}{}:
		return nil
	case <-timer.C:
		return tooBusy(req, b.wait())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// known reports whether anything limits the account.
func (b *bucket) known() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens != nil || !b.until.IsZero()
}

// open reports whether Sysdig accepts requests now.
func (b *bucket) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !time.Now().Before(b.until)
}

// take takes a token. It returns how long to wait before the request may be sent
// or, if nothing was taken, before the next look.
func (b *bucket) take(req *request, latest time.Time) (wait time.Duration, taken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Before(b.until) {
		return b.until.Sub(now), false
	}
	if b.tokens == nil {
		return 0, true
	}
	if req.changes() {
		turn := b.tokens.ReserveN(now, 1)
		if wait = turn.DelayFrom(now); now.Add(wait).After(latest) {
			turn.CancelAt(now)
			return wait, false
		}
		return wait, true
	}
	if missing := 1 + b.reserve - b.tokens.TokensAt(now); missing > 0 {
		// At least a moment: what is left over of a token is not exact.
		return time.Duration(missing/float64(b.tokens.Limit())*float64(time.Second)) + time.Millisecond, false
	}
	b.tokens.AllowN(now, 1)
	return 0, true
}

// wait is how long a request that only reads would wait.
func (b *bucket) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Before(b.until) {
		return b.until.Sub(now)
	}
	if b.tokens == nil {
		return 0
	}
	missing := 1 + b.reserve - b.tokens.TokensAt(now)
	return max(0, time.Duration(missing/float64(b.tokens.Limit())*float64(time.Second)))
}

// learn reads the limit from an answer's headers.
func (b *bucket) learn(resp *http.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if limit, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Limit")); err == nil && limit >= 1 && limit <= maxLimit && limit != b.limit {
		burst := max(1, limit/4)
		perSecond := rate.Limit(float64(max(1, limit-burst)) / time.Minute.Seconds())
		if b.tokens == nil {
			b.tokens = rate.NewLimiter(perSecond, burst)
		} else {
			b.tokens.SetLimitAt(now, perSecond)
			b.tokens.SetBurstAt(now, burst)
		}
		b.limit, b.reserve = limit, float64(burst/4)
	}
	wait := retryAfter(resp.Header.Get("Retry-After"), now)
	if resp.StatusCode != http.StatusTooManyRequests || wait == 0 {
		return
	}
	if b.tokens != nil {
		b.tokens.AllowN(now, int(max(0, b.tokens.TokensAt(now))))
	}
	if until := now.Add(wait); wait <= time.Minute && until.After(b.until) {
		b.until = until
	}
}

// tooBusy is the answer that Sysdig would give to a request that was not sent.
func tooBusy(req *request, wait time.Duration) error {
	return &Error{
		Method: req.method, Path: req.path, StatusCode: http.StatusTooManyRequests, Type: "too_many_requests",
		Message: "not sent: the account's rate limit is used up", RetryAfter: min(max(wait, time.Second), MaxRetryAfter),
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
