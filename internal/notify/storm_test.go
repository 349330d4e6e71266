package notify_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/notify"
	"firebreak/signals"
)

// sent is a message that a channel was sent.
type sent struct {
	title, text string
	at          time.Duration
}

// incidents is how many incidents the message tells of, and how many of them
// wait for a decision.
func (s sent) incidents(t *testing.T) (all, pending int) {
	t.Helper()
	match := regexp.MustCompile(`^(\d+) incidents changed: (\d+) wait for a decision`).FindStringSubmatch(s.title)
	if match == nil {
		require.Regexp(t, `^\[`, s.title)
		return 1, strings.Count(s.text, "Decision wanted")
	}
	all, _ = strconv.Atoi(match[1])
	pending, _ = strconv.Atoi(match[2])
	return all, pending
}

// storm is a channel whose service is a function, in a bubble.
type storm struct {
	t      *testing.T
	sender *notify.Sender
	start  time.Time

	mu       sync.Mutex
	messages []sent
	group    sync.WaitGroup
	results  []notify.Result
	errs     []error
}

// newStorm starts one; post may be nil, and is called without a lock.
func newStorm(t *testing.T, post func(title string) error) *storm {
	t.Helper()
	s := &storm{t: t, start: time.Now()}
	cfg := config("generic+https://hooks.example/")
	cfg.Backoff = nil
	var err error
	s.sender, err = notify.New(notify.WithPost(cfg, func(_, title, text string) error {
		if post != nil {
			if err := post(title); err != nil {
				return err
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.messages = append(s.messages, sent{title, text, time.Since(s.start)})
		return nil
	}))
	require.NoError(t, err)
	return s
}

// send sends in the background, as an activity does.
func (s *storm) send(ctx context.Context, stop <-chan struct{}, n notify.Notification) {
	s.group.Go(func() {
		err := s.sender.Send(ctx, stop, &n, func(string) bool { return false }, func(r notify.Result) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.results = append(s.results, r)
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		s.errs = append(s.errs, err)
	})
}

// numbered is the n-th incident; every fourth waits for a decision.
func numbered(n int) notify.Notification {
	x := asked()
	x.WorkflowID = fmt.Sprintf("crypto-miner:node-%d:6949e5f10829", n)
	x.Target = fmt.Sprintf("node-%d", n)
	if n%4 != 0 {
		x.Pending, x.State = nil, signals.Open
	}
	return x
}

func TestAStormOfAThousandIncidentsIsElevenMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(t, nil)
		for n := range 1000 {
			s.send(t.Context(), nil, numbered(n))
		}
		s.group.Wait()
		require.Len(t, s.messages, 11)
		require.Equal(t, 6*time.Second, time.Since(s.start))
		all, pending := 0, 0
		for i, m := range s.messages {
			a, p := m.incidents(t)
			all, pending = all+a, pending+p
			if i < 10 {
				require.Equal(t, 1, a)
				require.Zero(t, m.at)
			}
		}
		require.Equal(t, 1000, all, "every incident is counted once")
		require.Equal(t, 250, pending)
		require.Len(t, s.results, 1000)
		for _, r := range s.results {
			require.Empty(t, r.Failure)
		}
		last := s.messages[10].text
		require.LessOrEqual(t, len(last), 3<<10)
		require.Regexp(t, `\nand \d+ more: \d+ wait for a decision\nAll of them: firebreak incidents, or https://temporal.example.com/namespaces/default/workflows$`, last)
		shown := 0
		for l := range strings.SplitSeq(last, "\n") {
			if strings.HasPrefix(l, "- ") {
				shown++
				require.Regexp(t, `^- \[awaiting-approval\] .* on node-\d+ \(high\), firebreak show crypto-miner:node-\d+:6949e5f10829$`, l, "the most urgent first")
			}
		}
		a, p := s.messages[10].incidents(t)
		require.Contains(t, last, fmt.Sprintf("and %d more: %d wait", a-shown, p-shown))
	})
}

func TestASteadyStormIsAMessageInSixSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(t, nil)
		for n := range 6000 {
			s.send(t.Context(), nil, numbered(n))
			time.Sleep(100 * time.Millisecond) // of the bubble's time
		}
		s.group.Wait()
		require.LessOrEqual(t, len(s.messages), 10+100+1)
		all := 0
		for _, m := range s.messages {
			a, _ := m.incidents(t)
			all += a
		}
		require.Equal(t, 6000, all)
		for i := 11; i < len(s.messages); i++ {
			require.Greater(t, s.messages[i].at-s.messages[i-1].at, 5*time.Second)
		}
	})
}

func TestEscalationsComeFirstAndAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(t, nil)
		for n := range 10 {
			s.send(t.Context(), nil, numbered(4*n+1))
		}
		synctest.Wait()
		require.Len(t, s.messages, 10)
		for n := range 400 {
			x := numbered(1000 + n)
			if n >= 300 && x.Pending != nil {
				x.Groups = []string{"leads"}
			}
			s.send(t.Context(), nil, x)
		}
		s.group.Wait()
		require.Len(t, s.messages, 11)
		require.Equal(t, "400 incidents changed: 100 wait for a decision, 25 of them escalated", s.messages[10].title)
		lines := strings.Split(s.messages[10].text, "\n")
		for _, l := range lines[:10] {
			number, err := strconv.Atoi(regexp.MustCompile(`node-(\d+)`).FindStringSubmatch(l)[1])
			require.NoError(t, err)
			require.GreaterOrEqual(t, number, 1300, "an escalated one: %s", l)
		}
	})
}

func TestWhatChangesInOneIncidentWhileItWaitsIsOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStorm(t, nil)
		for n := range 10 {
			s.send(t.Context(), nil, numbered(n))
		}
		synctest.Wait()
		first, second := asked(), asked()
		first.Changes = first.Changes[:1]
		second.Changes = second.Changes[1:]
		s.send(t.Context(), nil, first)
		synctest.Wait()
		s.send(t.Context(), nil, second)
		s.group.Wait()
		require.Len(t, s.messages, 11)
		require.Equal(t, askedTitle, s.messages[10].title)
		require.Equal(t, askedText, s.messages[10].text)
	})
}

func TestABatchThatFailsFailsForEverybodyInIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		s := newStorm(t, func(string) error {
			attempts++
			return errors.New("503 Service Unavailable")
		})
		for n := range 500 {
			s.send(t.Context(), nil, numbered(n))
		}
		s.group.Wait()
		require.Len(t, s.results, 500)
		for _, r := range s.results {
			require.Equal(t, "generic hooks.example (notify.urls[0]): 503 Service Unavailable", r.Failure)
		}
		require.Empty(t, s.messages)
		require.LessOrEqual(t, attempts, 6, "one message, and all of the others together, three times each")
		require.Equal(t, 10*time.Second, time.Since(s.start), "1 s and 4 s between attempts")
	})
}

func TestAChannelThatHangsFailsInTimeAndLeavesABoundedRestBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var hanging atomic.Int64
		s := newStorm(t, func(string) error {
			hanging.Add(1)
			<-hang
			return errors.New("too late")
		})
		for n := range 1000 {
			s.send(t.Context(), nil, numbered(n))
		}
		s.group.Wait()
		require.Equal(t, 70*time.Second, time.Since(s.start), "three attempts of 10 s with 5 s between them, twice")
		require.Len(t, s.results, 1000)
		require.Contains(t, s.results[0].Failure, "no answer within 10s")
		for range 5 {
			s.send(t.Context(), nil, numbered(1))
			s.group.Wait()
		}
		require.Contains(t, s.results[1004].Failure, "8 earlier attempts still hang")
		require.EqualValues(t, 8, hanging.Load())
		close(hang)
	})
}

func TestWhenTheWorkerStopsWhatWaitsIsGivenUpAndWhatIsUnderWayIsNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		s := newStorm(t, func(string) error {
			<-answer
			return nil
		})
		stop := make(chan struct{})
		for n := range 100 {
			s.send(t.Context(), stop, numbered(n))
		}
		synctest.Wait()
		close(stop)
		synctest.Wait()
		require.Len(t, s.errs, 99)
		for _, err := range s.errs {
			require.ErrorIs(t, err, notify.ErrStopped)
		}
		close(answer)
		s.group.Wait()
		require.Len(t, s.messages, 1)
		require.Len(t, s.results, 1)
		require.Empty(t, s.results[0].Failure)
		require.NoError(t, s.errs[99])
	})
}

func TestWhenTheWorkerStopsNoFurtherAttemptBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		s := newStorm(t, func(string) error {
			attempts++
			return errors.New("503 Service Unavailable")
		})
		stop := make(chan struct{})
		s.send(t.Context(), stop, asked())
		synctest.Wait()
		close(stop)
		s.group.Wait()
		require.Equal(t, 1, attempts)
		require.Empty(t, s.results)
		require.ErrorIs(t, s.errs[0], notify.ErrStopped)
	})
}

func TestACancelledNotificationIsNotWaitedForAndNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		s := newStorm(t, func(string) error {
			<-answer
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		for n := range 2 {
			s.send(ctx, nil, numbered(n))
		}
		synctest.Wait()
		cancel()
		s.group.Wait()
		require.Len(t, s.errs, 2)
		for _, err := range s.errs {
			require.ErrorIs(t, err, context.Canceled)
		}
		close(answer)
		time.Sleep(time.Minute) // of the bubble's time
		synctest.Wait()
		require.Len(t, s.messages, 1, "the one that was under way")
	})
}
