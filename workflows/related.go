package workflows

import (
	"go.temporal.io/sdk/workflow"

	"firebreak/activities"
	"firebreak/signals"
)

// lookAround finds out what else happened there, beside the playbook, once
// somebody is asked: an incident that nobody looks at does without.
func (r *response) lookAround(ctx workflow.Context) {
	inc := &r.page.Incident
	if r.lookedAround || inc.Host.Name == "" || r.page.Events.Count == 0 {
		return
	}
	r.lookedAround = true
	in := activities.RelatedInput{
		EventID: inc.ID, At: inc.OccurredAt, HostName: inc.Host.Name, ContainerID: inc.Container.ID, Tenant: r.in.Tenant,
	}
	if in.At.IsZero() {
		in.At = r.openedAt
	}
	where := "host"
	if in.ContainerID != "" {
		where = "container"
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		var a *activities.Activities
		var found activities.RelatedResult
		if err := r.do(lookup(ctx, "Look for related events"), a.Related, in, &found); err != nil {
			if ctx.Err() == nil {
				r.log(ctx, actorSysdig, signals.KindCheck, "related events not readable: %s", describe(err))
			}
			return
		}
		r.page.Related, r.page.RelatedCut = found.Events, found.Cut
		if found.Cut {
			r.log(ctx, actorSysdig, signals.KindCheck, "the %d nearest related events of the same %s; Sysdig has more", len(found.Events), where)
			return
		}
		r.log(ctx, actorSysdig, signals.KindCheck, "%d related events of the same %s", len(found.Events), where)
	})
}
