package starter_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestASlowTemporalIsGivenUpOnAfterTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		w.temporal.Fn = func(ctx context.Context, _ call) (string, bool, error) {
			<-ctx.Done()
			return "", false, ctx.Err()
		}
		begin := time.Now()
		refused(t, w.post(t, event("1", "Miner", "6949e5f10829", 2)), http.StatusServiceUnavailable)
		require.Equal(t, 2*time.Second, time.Since(begin))
	})
}

func TestEventsOfASenderThatHangsUpAreStoredAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWebhook(t)
	ctx, hangUp := context.WithCancel(t.Context())
	w.temporal.Fn = func(ctx context.Context, _ call) (string, bool, error) {
		hangUp()
		return "run", true, ctx.Err()
	}
	answer := accepted(t, w.post(t, event("1", "Miner", "6949e5f10829", 2), func(r *http.Request) { *r = *r.WithContext(ctx) }))
	require.Len(t, answer.Opened, 1)
}
