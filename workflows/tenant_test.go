package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/incident"
	"firebreak/signals"
	"firebreak/workflows"
)

func TestWhatAPlaybookAsksOfSysdigIsAskedOfTheIncidentsTenant(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var asked []string
	b.capture = func(in activities.CaptureInput) (activities.Capture, error) {
		asked = append(asked, "create "+in.Tenant)
		return activities.Capture{ID: 7, Name: in.Name, Tenant: in.Tenant}, nil
	}
	save := b.save
	b.save = func(in activities.SaveInput) (activities.StoredFile, error) {
		asked = append(asked, "save "+in.Capture.Tenant)
		return save(in)
	}
	b.execute = func(in activities.ActionInput) (activities.Execution, error) {
		asked = append(asked, "execute "+in.Tenant)
		return activities.Execution{ID: "x-1", Status: "COMPLETED"}, nil
	}
	in := minerInput()
	in.Tenant = "acme"
	in.Route.CaptureFirst = true
	in.Route.Approval = incident.Approval{Mode: incident.ModeNone}
	page := b.run(workflows.CryptoMiner, in, miner())
	require.Equal(t, signals.Contained, page.Outcome)
	require.Equal(t, []string{"create acme", "save acme", "execute acme"}, asked)
	require.Equal(t, "acme", page.Tenant)
}
