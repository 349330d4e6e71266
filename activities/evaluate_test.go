package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/activities"
	"firebreak/internal/catalogue"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig/sysdigtest"
)

// What Sysdig has beyond the table may contain, whatever it is: a freeze stops it.
func TestAnActionOfSysdigsCatalogueIsTakenForAContainment(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	described, err := run[catalogue.Action](b, a.DescribeAction, activities.DescribeInput{Action: "PAUSE_CONTAINER"})
	require.NoError(t, err)
	require.Equal(t, catalogue.Action{
		Name: "PAUSE_CONTAINER", Responder: "HOST", Class: catalogue.Containment, UndoneBy: "its undo",
		Parameters: []catalogue.Parameter{
			{Name: "host.id", Type: catalogue.Text, Required: true, From: "host.id"},
			{Name: "container.id", Type: catalogue.Text, Required: true, From: "container.id"},
		},
	}, described)
	described, err = run[catalogue.Action](b, a.DescribeAction, activities.DescribeInput{Action: "GET_LOGS"})
	require.NoError(t, err)
	require.True(t, described.Contains())
	require.Empty(t, described.UndoneBy)
	pod, _ := described.Parameter("kubernetes.pod.name")
	require.Equal(t, catalogue.Parameter{Name: "kubernetes.pod.name", Type: catalogue.Text, From: "kubernetes.pod"}, pod)
	previous, _ := described.Parameter("previous")
	require.Equal(t, catalogue.Boolean, previous.Type)
	_, err = run[catalogue.Action](b, a.DescribeAction, activities.DescribeInput{Action: "MELT_CONTAINER"})
	require.Equal(t, activities.ErrRefused, final(t, err))
}

func TestWhatAnExpressionDoesNotFindIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t, sysdigtest.Options{})
	found, err := run[activities.Evaluation](b, a.Evaluate, activities.EvaluateInput{
		Expressions: map[string]string{"a": `incident.host.name`, "b": `incident.fields["x"]`, "c": `incident.fields["y"]`},
		Incident:    incident.Incident{Host: incident.Host{Name: "node-1"}},
	})
	require.NoError(t, err)
	require.Equal(t, activities.Evaluation{
		Values: map[string]any{"a": "node-1"}, Absent: "parameter b: no such key: x; parameter c: no such key: y",
	}, found)
	_, err = run[activities.Evaluation](b, a.Evaluate, activities.EvaluateInput{Expressions: map[string]string{"a": "incident."}})
	require.Equal(t, activities.ErrRefused, final(t, err))
}
