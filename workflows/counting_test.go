package workflows_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/internal/metrics"
	"firebreak/internal/telemetry"
	"firebreak/signals"
	"firebreak/workflows"
)

// counting is a bench that counts, and counted says whether series have values.
func counting(t *testing.T) (b *bench, counted func(series ...string)) {
	t.Helper()
	m, err := telemetry.NewMetrics(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, m.Define(metrics.All()...))
	return newBenchWith(t, m.Temporal), func(series ...string) {
		t.Helper()
		recorder := httptest.NewRecorder()
		telemetry.Ops(m.Registry, nil).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		for _, line := range series {
			require.True(t, strings.Contains(recorder.Body.String(), line+"\n"), line)
		}
	}
}

func TestAnIncidentIsCountedFromItsOpeningToItsClose(t *testing.T) {
	t.Parallel()
	b, counted := counting(t)
	in := minerInput()
	in.Route.Approval = incident.Approval{
		Mode: incident.ModeOne, RemindEvery: incident.Duration(5 * time.Minute), EscalateAfter: incident.Duration(12 * time.Minute),
		ExpireAfter: incident.Duration(time.Hour),
	}
	b.at(time.Minute, signals.Approve, "approve")
	b.at(2*time.Minute, signals.Reject, signals.Decision{Analyst: "bob", Request: "another"})
	b.at(3*time.Minute, "aprove", decision("ann"))
	b.at(19*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	counted(
		`firebreak_incidents_opened_total{playbook="crypto-miner"} 1`,
		`firebreak_incidents_closed_total{outcome="contained",playbook="crypto-miner"} 1`,
		`firebreak_incidents_reopened_total{playbook="crypto-miner"} 0`,
		`firebreak_approval_wait_seconds_count{outcome="approved",playbook="crypto-miner"} 1`,
		`firebreak_approval_reminders_total{playbook="crypto-miner"} 3`,
		`firebreak_approval_escalations_total{playbook="crypto-miner"} 1`,
		`firebreak_analyst_signals_total{result="undecodable",signal="approve"} 1`,
		`firebreak_analyst_signals_total{result="wrong-request",signal="reject"} 1`,
		`firebreak_analyst_signals_total{result="unknown-signal",signal="other"} 1`,
		`firebreak_analyst_signals_total{result="counted",signal="approve"} 1`,
		`firebreak_actions_total{action="KILL_CONTAINER",operation="execute",outcome="completed"} 1`,
	)
}

func TestWhatBecameOfAnActionIsCountedByWhy(t *testing.T) {
	t.Parallel()
	for kind, outcome := range map[string]string{
		activities.ErrFailed: "failed", activities.ErrRefused: "refused", activities.ErrNotFound: "refused",
		activities.ErrForbidden: "forbidden", activities.ErrAmbiguous: "ambiguous", activities.ErrFrozen: "frozen",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b, counted := counting(t)
			b.execute = func(activities.ActionInput) (activities.Execution, error) {
				return activities.Execution{}, refusal(kind, "no")
			}
			b.at(time.Minute, signals.Approve, decision("ann"))
			b.at(2*time.Minute, signals.Reject, decision("ann"))
			b.run(workflows.CryptoMiner, minerInput(), miner())
			counted(`firebreak_actions_total{action="KILL_CONTAINER",operation="execute",outcome="` + outcome + `"} 1`)
		})
	}
}

func TestCapturesAndEvidenceAreCounted(t *testing.T) {
	t.Parallel()
	b, counted := counting(t)
	b.at(time.Minute, signals.Approve, decision("ann"))
	b.at(2*time.Minute, signals.Approve, decision("ann"))
	page := b.run(workflows.Capture, captureInput(), miner())
	require.Equal(t, signals.Captured, page.Outcome)
	counted(
		`firebreak_captures_total{outcome="completed"} 1`,
		`firebreak_capture_bytes_total 100`,
		`firebreak_evidence_files_total{kind="capture"} 1`,
		`firebreak_evidence_bytes_total{kind="capture"} 100`,
		`firebreak_incidents_closed_total{outcome="captured",playbook="capture"} 1`,
	)
}
