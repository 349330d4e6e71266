package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"firebreak/internal/approvals"
	"firebreak/internal/guard"
	"firebreak/internal/incident"
	"firebreak/internal/sysdig"
	"firebreak/signals"
)

// CaptureInput is one intended system capture.
type CaptureInput struct {
	// Name distinguishes it from all others: a capture whose creation was not answered
	// is found by it.
	Name       string `json:"name"`
	HostName   string `json:"host_name"`
	MAC        string `json:"mac"`
	AgentID    string `json:"agent_id"`
	CustomerID string `json:"customer_id"`
	// ContainerID restricts the capture to a container; absent: the whole host.
	ContainerID string            `json:"container_id,omitzero"`
	Duration    incident.Duration `json:"duration"`
	Filter      string            `json:"filter,omitzero"`
	// Turn are the names of the host whose turn the capture takes, see [TurnOf].
	Turn []string `json:"turn,omitempty"`
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
// until it is done, and if Sysdig does not say.
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
// its turn again: a host takes one capture at a time. Captures that were refused
// together ask apart, or all but one would miss every turn.
const outstandingDelay = 5 * time.Second

// clockSkew is how far Sysdig's clock may be from ours when a capture or an
// execution is looked for: to miss one would mean to create it twice.
const clockSkew = time.Hour

// TurnOf returns the names under which the guard knows a host whose captures take
// turns. Not every incident knows every identifier, so a host has several names. A
// MAC address is one only together with the host name: cloned machines share it.
func TurnOf(tenant string, host incident.Host) []string {
	var names []string
	if host.ID != "" {
		names = append(names, tenant+"/id/"+host.ID)
	}
	if host.AgentID != "" {
		names = append(names, tenant+"/agent/"+host.AgentID)
	}
	if host.MAC != "" && host.Name != "" {
		names = append(names, tenant+"/mac/"+host.MAC+"/"+host.Name)
	}
	return names
}

// withoutTurn is the attempt that goes on if the guard does not answer. Evidence must
// not depend on it: an agent takes one capture at a time in any case, and one that it
// refuses is taken again.
const withoutTurn = 3

// takeTurn takes or renews the turn of a host for a capture. While another capture
// has it, the error is of type ErrCaptureTurn, and is retried. If the guard does not
// answer, the attempt withoutTurn and those after it go on without the turn.
func (a *Activities) takeTurn(ctx context.Context, turn []string, holder string) error {
	if len(turn) == 0 {
		return nil
	}
	err := a.Guard.Hold(ctx, signals.Hold{Host: turn, Holder: holder, For: incident.Duration(signals.MaxHold)})
	var held *guard.HeldError
	switch {
	case errors.As(err, &held):
		return waitForTurn(held.Reason, err)
	case err != nil && ctx.Err() == nil && activity.GetInfo(ctx).Attempt >= withoutTurn:
		activity.GetLogger(ctx).Warn("going on without the turn of the host", "holder", holder, "error", err)
		return nil
	default:
		return err
	}
}

// waitForTurn has the attempt repeated after a while.
func waitForTurn(reason string, cause error) error {
	return temporal.NewApplicationErrorWithOptions("waiting for the turn of this host: "+reason, ErrCaptureTurn, temporal.ApplicationErrorOptions{
		Cause: cause, NextRetryDelay: outstandingDelay/2 + rand.N(outstandingDelay), Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// endTurn gives the turn of a host back. Where that fails the turn ends by itself,
// after signals.MaxHold.
func (a *Activities) endTurn(ctx context.Context, turn []string, holder string) {
	if len(turn) == 0 {
		return
	}
	if err := a.Guard.Hold(context.WithoutCancel(ctx), signals.Hold{Host: turn, Holder: holder}); err != nil {
		activity.GetLogger(ctx).Warn("turn of a host not given back", "holder", holder, "error", err)
	}
}

// creation is what a retry of CreateCapture resumes from.
type creation struct {
	// Clean is the attempt after which it was certain that this attempt had created
	// nothing. It only speaks for the attempt right after it.
	Clean int32 `json:"clean"`
	// Never says so of all attempts up to that one.
	Never bool `json:"never,omitzero"`
}

// CreateCapture creates a system capture, once its host's turn is free, and holds
// the turn, which AwaitCapture gives back. Captures have no caller ID, so one that
// may exist already is looked for by its name before it is created again. Where all
// attempts so far were certainly refused, none can exist, and none is looked for.
//
// What was approved is the capture of a host. The agent ID is only how Sysdig
// addresses it: if the host's agent came back with another one since, the capture is
// asked of that agent.
func (a *Activities) CreateCapture(ctx context.Context, in CaptureInput) (Capture, error) {
	info := activity.GetInfo(ctx)
	before := creation{Never: !in.Resumed}
	if activity.HasHeartbeatDetails(ctx) {
		before = creation{}
		if err := activity.GetHeartbeatDetails(ctx, &before); err != nil {
			before = creation{Clean: -1} // details that cannot be read only mean that nothing is known
		}
	}
	settled := before.Clean == info.Attempt-1
	before.Never = before.Never && settled
	stop := heartbeats(ctx, func() any { return before })
	defer func() { stop() }()

	if (info.Attempt > 1 || in.Resumed) && !before.Never {
		found, err := a.findCapture(ctx, in, settled && info.Attempt > 1)
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
	clean := func(err error) (Capture, error) {
		stop()
		stop = func() {}
		activity.RecordHeartbeat(ctx, creation{Clean: info.Attempt, Never: before.Never})
		return Capture{}, err
	}
	found, err := a.check(ctx, account, in.Address)
	if err != nil {
		if isFinal(err) {
			a.endTurn(ctx, in.Turn, in.Name)
		}
		return clean(err)
	}
	if a.Observe {
		return Capture{Name: in.Name, Observed: true}, nil
	}
	if err := a.takeTurn(ctx, in.Turn, in.Name); err != nil {
		return clean(err)
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
	mapped := toTemporal("create capture", err)
	switch {
	case sysdig.MayHaveTakenEffect(err):
		return Capture{}, mapped
	case sysdig.OutstandingCapture(err):
		return clean(waitForTurn("another capture of it is under way", err))
	case isFinal(mapped):
		a.endTurn(ctx, in.Turn, in.Name)
	}
	return clean(mapped)
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

// AwaitInput is a capture that was created.
type AwaitInput struct {
	Capture  Capture           `json:"capture"`
	Duration incident.Duration `json:"duration"`
	// Turn are the names of the host whose turn it holds.
	Turn []string `json:"turn,omitempty"`
	// Hurried says that a containment waits for it: the upload gets no patience of its
	// own.
	Hurried bool `json:"hurried,omitzero"`
}

const (
	// earlyEnd is how soon after its creation a capture ends that its agent did not
	// take: an agent that is connected answers within seconds.
	earlyEnd = 30 * time.Second
	// uploadRate is that of an agent, in bytes a second (capture_job_handler.cpp of
	// Sysdig's published agent source).
	uploadRate = 1 << 20
	// UploadPatience is how long an upload may take whose size is not known: 21 GiB at
	// the agent's rate. MaxUpload is the longest that any may take.
	UploadPatience = 6 * time.Hour
	MaxUpload      = 12 * time.Hour
)

// awaiting is what a retry of AwaitCapture resumes from.
type awaiting struct {
	Started time.Time `json:"started"`
	// Uploading is since when the file is uploaded, zero before.
	Uploading time.Time `json:"uploading,omitzero"`
	// Size is the latest that Sysdig gave during the upload, and Moved when it changed.
	Size  int64     `json:"size,omitzero"`
	Moved time.Time `json:"moved,omitzero"`
}

// see records what Sysdig says of a capture.
func (w awaiting) see(c *sysdig.Capture, now time.Time) awaiting {
	if c.Status != sysdig.CaptureUploading {
		return w
	}
	if w.Uploading.IsZero() {
		w.Uploading, w.Moved = now, now
	}
	if c.Size != w.Size {
		w.Size, w.Moved = c.Size, now
	}
	return w
}

// overdue is why a capture is given up, "" while it is waited for. Until it is
// uploaded it may take its duration and the grace. An upload has time by the size
// that Sysdig gives, at half the agent's rate, again whenever that size changes, for
// it may be the progress.
func (w awaiting) overdue(in AwaitInput, status sysdig.CaptureStatus, grace time.Duration, now time.Time) string {
	capture := fmt.Sprintf("capture %d is still %s after", in.Capture.ID, status)
	if status == sysdig.CaptureUploading {
		took, since, patience := now.Sub(w.Uploading), now.Sub(w.Uploading), UploadPatience
		switch {
		case in.Hurried:
			patience = grace
		case w.Size > 0:
			since, patience = now.Sub(w.Moved), grace+time.Duration(2*w.Size/uploadRate)*time.Second
		}
		switch {
		case since <= patience && took <= MaxUpload:
			return ""
		case in.Hurried:
			return fmt.Sprintf("%s %s, and containment does not wait longer: it stays in Sysdig", capture, took.Round(time.Second))
		case w.Size > 0:
			return fmt.Sprintf("%s %s, %d bytes by Sysdig's account: the time for the upload is over", capture, took.Round(time.Second), w.Size)
		default:
			return fmt.Sprintf("%s %s: the time for the upload is over", capture, took.Round(time.Second))
		}
	}
	limit := time.Duration(in.Duration) + grace
	switch {
	case now.Sub(w.Started) <= limit:
		return ""
	case status == sysdig.CaptureCapturing:
		return fmt.Sprintf("%s %s: it was to record for %s", capture, limit, in.Duration)
	default:
		return fmt.Sprintf("%s %s: the agent may never have started it", capture, limit)
	}
}

// AwaitCapture polls a capture until its file can be downloaded, or until it is
// overdue, however many attempts and workers that takes. It holds the turn of the
// host until the capture's status is final, upload included. A capture that Sysdig
// has ended is reported with Sysdig's reason: as ErrCaptureBusy where it is to be
// taken again, because the agent had another one, or failed early and did not say
// why. It only reads from Sysdig.
func (a *Activities) AwaitCapture(ctx context.Context, in AwaitInput) (Capture, error) {
	if in.Capture.Observed {
		return in.Capture, nil
	}
	account, err := a.sysdig(in.Capture.Tenant)
	if err != nil {
		return Capture{}, err
	}
	known := awaiting{Started: time.Now()}
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &known); err != nil || known.Started.IsZero() {
			known = awaiting{Started: time.Now()}
		}
	}
	var progress atomic.Pointer[awaiting]
	progress.Store(&known)
	activity.RecordHeartbeat(ctx, known) // also if this attempt is a short one
	stop := heartbeats(ctx, func() any { return *progress.Load() })
	defer stop()
	renewed := time.Now()
	for wait := min(a.poll(), 200*time.Millisecond); ; wait = min(2*wait, a.poll()) {
		capture, err := account.Capture(ctx, in.Capture.ID)
		if err != nil {
			return Capture{}, toTemporal("poll capture", err)
		}
		now := time.Now()
		seen := progress.Load().see(capture, now)
		progress.Store(&seen)
		switch {
		case capture.Failed():
			a.endTurn(ctx, in.Turn, in.Capture.Name)
			return Capture{}, failedCapture(capture, now.Sub(seen.Started) < earlyEnd)
		case capture.Done():
			a.endTurn(ctx, in.Turn, in.Capture.Name)
			return Capture{ID: in.Capture.ID, Name: in.Capture.Name, Size: capture.Size, Tenant: in.Capture.Tenant}, nil
		}
		if overdue := seen.overdue(in, capture.Status, a.grace(), now); overdue != "" {
			return Capture{}, temporal.NewNonRetryableApplicationError(overdue, ErrFailed, nil)
		}
		if now.Sub(renewed) > signals.MaxHold/2 {
			renewed = now
			if err := a.takeTurn(ctx, in.Turn, in.Capture.Name); err != nil {
				activity.GetLogger(ctx).Warn("turn of a host not renewed", "holder", in.Capture.Name, "error", err)
			}
		}
		if err := sleep(ctx, wait); err != nil {
			return Capture{}, err
		}
	}
}

// failedCapture is the error of a capture that Sysdig has ended.
func failedCapture(c *sysdig.Capture, early bool) error {
	kind := ErrFailed
	if c.Busy() || early && c.Status == sysdig.CaptureError && c.Reason == "" {
		kind = ErrCaptureBusy
	}
	return temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("capture %d: Sysdig reports %s: %s", c.ID, c.Status, cmp.Or(c.Reason, "no reason given")), kind, nil)
}
