package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/catalogue"
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

func TestWhatRespondAsksOfSysdigIsAskedOfTheIncidentsTenant(t *testing.T) {
	t.Parallel()
	var a *activities.Activities
	b := newBench(t)
	var described []activities.DescribeInput
	b.OnActivity(a.DescribeAction, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.DescribeInput) (*catalogue.Action, error) {
			described = append(described, in)
			return &catalogue.Action{Name: in.Action, Class: catalogue.Containment, UndoneBy: "its undo"}, nil
		})
	in := respondInput("MELT_CONTAINER")
	in.Tenant = "acme"
	in.Route.AutoUndoAfter = incident.Duration(time.Hour)
	b.run(workflows.Respond, in, everything())
	require.Equal(t, []activities.DescribeInput{{Action: "MELT_CONTAINER", Tenant: "acme"}}, described)
	require.Len(t, b.executed, 2)
	require.Equal(t, "acme", b.executed[0].Tenant)
	require.Equal(t, "x-1", b.executed[1].Undo)
	require.Equal(t, "acme", b.executed[1].Tenant)

	b = newBench(t)
	in = respondInput("FILE_ACQUIRE")
	in.Tenant = "acme"
	b.run(workflows.Respond, in, everything())
	require.Len(t, b.fetched, 1)
	require.Equal(t, "acme", b.fetched[0].Tenant)
}
