package e2e_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// plot is a kind of incident. A new one is a line in plots.
type plot struct {
	name string
	// share is how many of a hundred incidents are of the kind.
	share int
	// playbook is the route's, and route the rest of its YAML.
	playbook, route string
	// onHost says that the detection is on a host of its own, in no container.
	onHost bool
	// late says that more events may join: the incident waits for an analyst.
	late bool
	// effects are what happens in the world, once each, if the incident ends well,
	// and outcome is what it ends as then.
	effects []string
	outcome signals.State
}

func plots() []plot {
	const (
		automatic = "approval: {mode: none}, cool_down: 100ms"
		approved  = "approval: {mode: one}, cool_down: 100ms"
		miner     = signals.PlaybookCryptoMiner
		capture   = signals.PlaybookCapture
		respond   = signals.PlaybookRespond
	)
	return []plot{
		{"automatic", 30, miner, automatic, false, false, []string{"KILL_CONTAINER"}, signals.Contained},
		{"approved", 28, miner, approved, false, true, []string{"KILL_CONTAINER"}, signals.Contained},
		{"host", 7, miner, automatic, true, false, []string{"KILL_PROCESS"}, signals.Contained},
		{"host-approved", 5, miner, approved, true, true, []string{"KILL_PROCESS"}, signals.Contained},
		{"recorded-first", 6, miner, automatic + ", capture_first: true", false, false, []string{captureEffect, "KILL_CONTAINER"}, signals.Contained},
		{
			"quarantined", 5, respond, automatic + `, action: FILE_QUARANTINE, parameters: {path.absolute: '"/tmp/xmrig"'}`,
			false, false,
			[]string{"FILE_QUARANTINE"},
			signals.Contained,
		},
		{
			"paused", 5, respond, automatic + ", action: PAUSE_CONTAINER, auto_undo_after: 500ms",
			false, false,
			[]string{"PAUSE_CONTAINER", "UNPAUSE_CONTAINER"},
			signals.Expired,
		},
		{"capture", 8, capture, "approval: {mode: one}, save_approval: {mode: none}", false, true, []string{captureEffect}, signals.Captured},
		{"capture-approved", 6, capture, "approval: {mode: none}, save_approval: {mode: one}", false, false, []string{captureEffect}, signals.Captured},
	}
}

// captureEffect is the effect of a capture; the others are named like actions.
const captureEffect = "CAPTURE"

// rule is by which detections of the plot are told from others.
func (p *plot) rule() string { return "Chaos " + p.name }

// chaosRoutes are the routes of all plots.
func chaosRoutes() string {
	var routes strings.Builder
	for _, p := range plots() {
		fmt.Fprintf(&routes, "\n  - {name: %s, when: incident.rule.name == %q, playbook: %s, %s}", p.name, p.rule(), p.playbook, p.route)
	}
	return routes.String()
}

// victim is what an incident is about, and what becomes of it.
type victim struct {
	plot
	n int
	// id is the ID of its incident.
	id   string
	host sysdigtest.Host // with its container alone, or with none
	pid  string
	// deliveries are what its sender sends, one after the other, and events how
	// many different events they hold.
	deliveries [][]event
	events     int
	// told says that all of them were taken.
	told atomic.Bool

	// page is how it ended; nil while it is open.
	page *signals.Page
	// asked is the request that was last seen, and asks how many there were; answer
	// is the signal that answers it, and answered when it was sent.
	asked    string
	asks     int
	answer   string
	answered time.Time
}

// crowd is how many containers run on a host: captures of one host wait for each
// other.
const crowd = 15

// cast makes what incidents are about, and the hosts: at least one of each plot,
// the others as chance has it.
func (c *chaos) cast(incidents int) ([]*victim, []sysdigtest.Host) {
	c.t.Helper()
	random, all := c.random("cast"), plots()
	var victims []*victim
	var hosts []sysdigtest.Host
	shared := -1 // the host whose containers are handed out
	for n := range incidents {
		v := &victim{n: n, pid: strconv.Itoa(1000 + n)}
		if n < len(all) {
			v.plot = all[n]
		} else {
			v.plot = drawn(all, random.IntN(100))
		}
		at := shared
		if v.onHost || at < 0 || len(hosts[at].Containers) == crowd {
			at = len(hosts)
			host := sysdigtest.Host{
				Name: fmt.Sprintf("node-%08x", random.Uint32()), ID: fmt.Sprintf("%064x", random.Uint64()),
				MAC: fmt.Sprintf("42:01:0a:80:%02x:%02x", at/256, at%256), AgentID: int64(1000 + at), Cluster: "chaos",
			}
			hosts = append(hosts, host)
		}
		v.host = hosts[at]
		kind := v.playbook
		if kind == signals.PlaybookRespond {
			kind += ":" + v.name
		}
		v.id = kind + ":" + v.host.Name + ":host"
		if !v.onHost {
			shared = at
			container := fmt.Sprintf("%012x", random.Uint64()>>16)
			hosts[at].Containers = append(hosts[at].Containers, container)
			v.host.Containers = []string{container}
			v.id = kind + ":" + v.host.Name + ":" + container
		}
		v.deliveries = append(v.deliveries, v.batch(c.t, 1+random.IntN(3)))
		if v.late && random.IntN(2) == 0 {
			v.deliveries = append(v.deliveries, v.batch(c.t, 1))
		}
		victims = append(victims, v)
	}
	return victims, hosts
}

// drawn is the plot at a place among a hundred.
func drawn(all []plot, place int) plot {
	return all[slices.IndexFunc(all, func(p plot) bool {
		place -= p.share
		return place < 0
	})]
}

// batch are events of the victim that travel together.
func (v *victim) batch(t *testing.T, events int) []event {
	t.Helper()
	var batch []event
	for range events {
		host := v.host
		if v.onHost {
			host.Containers = []string{"host"} // as Falco calls it
		}
		e := newEvent(t, host, v.rule()).small()
		e["content"].(map[string]any)["fields"].(map[string]any)["proc.pid"] = v.pid
		batch = append(batch, e)
	}
	v.events += events
	return batch
}
