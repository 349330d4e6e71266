package activities_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
)

func TestStartTimeHasTheUnitOfTheCatalogue(t *testing.T) {
	t.Parallel()
	const started = 1_764_583_200_123_456_789
	for description, want := range map[string]activities.ProcessStart{
		"The process start time in nanoseconds since epoch.": {Value: started, Unit: "ns"},
		"Start in nanoseconds since the epoch.":              {Value: started, Unit: "ns"},
		"Seconds since the Unix epoch":                       {Value: started / 1_000_000_000, Unit: "s"},
		"Milliseconds since the host's start":                {Value: -1},
		"Nanoseconds since the epoch or boot":                {Value: -1},
		"Start time (ns)":                                    {Value: started, Unit: "ns"},
		"Unix nano timestamp":                                {Value: started, Unit: "ns"},
		"Epoch time in milliseconds":                         {Value: started / 1_000_000, Unit: "ms"},
		"UNIX timestamp, MS":                                 {Value: started / 1_000_000, Unit: "ms"},
		"start in milli-seconds":                             {Value: started / 1_000_000, Unit: "ms"},
		"microseconds since 1970":                            {Value: started / 1_000, Unit: "us"},
		"in µs":                                              {Value: started / 1_000, Unit: "us"},
		"Unix time in seconds":                               {Value: started / 1_000_000_000, Unit: "s"},
		"The process's start, epoch [s]":                     {Value: started / 1_000_000_000, Unit: "s"},
		"The startTime.":                                     {Value: -1},
		"":                                                   {Value: -1},
		"The process's start time":                           {Value: -1},
		"Seconds or milliseconds since epoch":                {Value: -1},
		"Milliseconds since boot":                            {Value: -1},
		"Clock ticks, not seconds":                           {Value: -1},
		"RFC 3339, with nanoseconds":                         {Value: -1},
		"A nanny of the process's seconds-hand?":             {Value: started / 1_000_000_000, Unit: "s"},
	} {
		t.Run(description, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sysdigtest.Options{})
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				_, _ = io.WriteString(w, `{"data":[{"type":"FILE_ACQUIRE","parameters":[{"name":"startTime","description":"in seconds"}]},`+
					`{"type":"KILL_PROCESS","parameters":[{"name":"process.id"},{"name":"startTime","type":"integer","description":`+strconv.Quote(description)+`}]}]}`)
			}))
			t.Cleanup(server.Close)
			client, err := sysdig.NewClient(sysdig.Config{AppURL: server.URL, APIURL: server.URL, Token: "t"})
			require.NoError(t, err)
			b.activities.Sysdig = client
			for range 2 {
				got, err := run[activities.ProcessStart](b, a.FindProcessStart, activities.ProcessStartInput{StartTime: started})
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			require.EqualValues(t, 1, asked.Load(), "the catalogue is kept")
		})
	}
}

func TestActionIsNotSubmittedAfterItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	in := kill()
	in.NotAfter = time.Now().Add(-time.Second)
	_, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.Equal(t, activities.ErrOutdated, final(t, err))
	require.Zero(t, b.submits())

	// What was submitted in time is adopted all the same.
	in.NotAfter = time.Time{}
	b.sysdig.Fault(sysdigtest.Fault{Method: http.MethodPost, Path: executions, Times: 1, ResetAfter: true})
	_, err = run[activities.Execution](b, a.ExecuteAction, in)
	retried(t, err)
	in.NotAfter, in.Resumed = time.Now().Add(-time.Second), true
	done, err := run[activities.Execution](b, a.ExecuteAction, in)
	require.NoError(t, err)
	require.True(t, done.Adopted)
}
