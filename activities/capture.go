package activities

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/approvals"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
)

// CaptureInput is one intended system capture.
type CaptureInput struct {
	// Name tells it from all others: by it a capture is found whose creation was
	// not answered.
	Name        string            `json:"name"`
	HostName    string            `json:"host_name"`
	MAC         string            `json:"mac"`
	AgentID     string            `json:"agent_id"`
	CustomerID  string            `json:"customer_id"`
	ContainerID string            `json:"container_id,omitzero"` // absent: the whole host
	Duration    incident.Duration `json:"duration"`
	Filter      string            `json:"filter,omitzero"`
	// Tenant is the Sysdig account, "" for the one without a name.
	Tenant string `json:"tenant,omitzero"`
	// Since is a time before the capture can have been created.
	Since time.Time `json:"since"`
	// Resumed says that an earlier run may have created it already.
	Resumed bool `json:"resumed,omitzero"`
	// Address is the host that the capture is of.
	Address Address `json:"address,omitzero"`
	// Claim is what the incident says of who approved it.
	Claim approvals.Claim `json:"claim"`
}

// Capture is a system capture that exists in Sysdig. Name is the one that was
// asked for, and so safe for a file, whatever Sysdig makes of it. Size is 0
// until it is done, and if Sysdig does not tell.
type Capture struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Size int64  `json:"size,omitzero"`
	// Tenant is the Sysdig account that it is in.
	Tenant string `json:"tenant,omitzero"`
	// AgentID is the agent that was asked, if it is not the one of the input.
	AgentID string `json:"agent_id,omitzero"`
	// Observed says that the worker is on a dry run: there is no capture, and no ID.
	Observed bool `json:"observed,omitzero"`
}

// outstandingDelay is how long a capture waits, on average, before it asks for
// its turn again: Sysdig takes one capture per host at a time. Captures that were
// refused together ask apart, or all but one would miss every turn.
const outstandingDelay = 5 * time.Second

// clockSkew is how far Sysdig's clock may be from ours when a capture is looked
// for: to miss one would mean to take it twice.
const clockSkew = time.Hour

// CreateCapture creates a system capture. Captures have no caller ID, so one
// that may exist already is looked for by its name before it is created again.
//
// What was approved is the capture of a host. The agent ID is only how Sysdig
// addresses it: if the host's agent came back with another one since, the capture is
// asked of that agent.
func (a *Activities) CreateCapture(ctx context.Context, in CaptureInput) (Capture, error) {
	info := activity.GetInfo(ctx)
	var clean int32
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &clean); err != nil {
			clean = 0
		}
	}
	stop := heartbeats(ctx, func() any { return clean })
	defer func() { stop() }()

	if info.Attempt > 1 || in.Resumed {
		settled := clean != 0 && clean == info.Attempt-1
		found, err := a.findCapture(ctx, in, settled)
		if err != nil {
			return Capture{}, err
		}
		if found != nil {
			return Capture{ID: found.ID, Name: in.Name, Tenant: in.Tenant}, nil
		}
	}
	if err := a.permit(ctx, in.Claim, false); err != nil {
		return Capture{}, err
	}
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return Capture{}, err
	}
	found, err := a.check(ctx, account, in.Address)
	if err != nil {
		return Capture{}, err
	}
	if a.Observe {
		return Capture{Name: in.Name, Observed: true}, nil
	}
	asked := ""
	if found.Host.AgentID != "" && found.Host.AgentID != in.AgentID {
		asked, in.AgentID = found.Host.AgentID, found.Host.AgentID
	}
	in.CustomerID, in.MAC = cmp.Or(found.Tenant.ID, in.CustomerID), cmp.Or(found.machineID, in.MAC)
	created, err := account.CreateCapture(ctx, sysdig.CaptureRequest{
		Name: in.Name, ContainerID: in.ContainerID, HostName: in.HostName,
		Agent:    sysdig.Agent{ID: in.AgentID, Customer: in.CustomerID, MachineID: in.MAC, HostName: in.HostName},
		Duration: time.Duration(in.Duration), Filter: in.Filter,
	})
	if err == nil {
		return Capture{ID: created.ID, Name: in.Name, Tenant: in.Tenant, AgentID: asked}, nil
	}
	stop()
	stop = func() {}
	if !sysdig.MayHaveTakenEffect(err) {
		activity.RecordHeartbeat(ctx, info.Attempt)
	}
	if sysdig.OutstandingCapture(err) {
		return Capture{}, temporal.NewApplicationErrorWithOptions(
			"another capture of this host is under way, waiting for its turn", "capture-outstanding",
			temporal.ApplicationErrorOptions{Cause: err, NextRetryDelay: outstandingDelay/2 + rand.N(outstandingDelay), Category: temporal.ApplicationErrorCategoryBenign})
	}
	return Capture{}, toTemporal("create capture", err)
}

// findCapture looks a capture up by its name.
func (a *Activities) findCapture(ctx context.Context, in CaptureInput, settled bool) (*sysdig.Capture, error) {
	return lookFor(ctx, a, settled, func() (*sysdig.Capture, error) {
		account, err := a.sysdig(in.Tenant)
		if err != nil {
			return nil, unknowable("look up the capture by its name", err)
		}
		captures, err := account.Captures(ctx, in.Since.Add(-clockSkew), time.Now().Add(clockSkew))
		if err != nil {
			return nil, unknowable("look up the capture by its name", err)
		}
		for i := range captures {
			// Sysdig may append the extension to the name it was given.
			if strings.TrimSuffix(captures[i].Name, ".scap") == in.Name {
				return &captures[i], nil
			}
		}
		return nil, nil
	})
}

// AwaitCapture polls a capture until its file can be downloaded, or until it has
// taken longer than Grace, however many attempts and workers that takes. It only
// reads.
func (a *Activities) AwaitCapture(ctx context.Context, in Capture) (Capture, error) {
	if in.Observed {
		return in, nil
	}
	account, err := a.sysdig(in.Tenant)
	if err != nil {
		return Capture{}, err
	}
	started := time.Now()
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &started); err != nil {
			started = time.Now()
		}
	}
	activity.RecordHeartbeat(ctx, started) // also if this attempt is a short one
	stop := heartbeats(ctx, func() any { return started })
	defer stop()
	for wait := min(a.poll(), 200*time.Millisecond); ; wait = min(2*wait, a.poll()) {
		capture, err := account.Capture(ctx, in.ID)
		if err != nil {
			return Capture{}, toTemporal("poll capture", err)
		}
		switch {
		case capture.Failed():
			return Capture{}, temporal.NewNonRetryableApplicationError(
				fmt.Sprintf("capture %d: Sysdig reports %s", in.ID, capture.Status), ErrFailed, nil)
		case capture.Done():
			return Capture{ID: in.ID, Name: in.Name, Size: capture.Size, Tenant: in.Tenant}, nil
		case time.Since(started) > a.grace():
			return Capture{}, temporal.NewNonRetryableApplicationError(
				fmt.Sprintf("capture %d is still %s after %s: the agent may never have started it", in.ID, capture.Status, a.grace()), ErrFailed, nil)
		}
		if err := sleep(ctx, wait); err != nil {
			return Capture{}, err
		}
	}
}
