package sysdig

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// Agents are the connected agents of an account, as Sysdig listed them at one
// time. They are packed: 20,000 agents take about 5 MiB. They do not change, so
// they are safe for concurrent use.
type Agents struct {
	// text holds the texts of all agents, one after another.
	text string
	rows []agentRow
	// shared holds each customer and cluster once.
	shared []string
	index  [4][]agentKey
}

// The kinds of key by which agents are found.
const (
	byID = iota
	byHostID
	byMachineID
	byName
)

// agentRow is an agent: where its texts begin and how long each is.
type agentRow struct {
	at                        uint32
	id, name, machine, hostID uint16
	customer, cluster         uint32 // in Agents.shared
}

// agentKey is the hash of a key and the number of the agent that has it. The keys
// of a kind are sorted by their hash.
type agentKey struct{ hash, row uint32 }

// seed makes the hashes differ between processes: names come from outside.
var seed = maphash.MakeSeed()

func hashOf(key string) uint32 { return uint32(maphash.String(seed, key)) }

// keyOf normalises a value, so that two that may mean the same host have one key:
// a name without its domain, a MAC address without separators, all in lower case.
// The caller compares what it finds.
func keyOf(kind int, value string) string {
	switch kind {
	case byName:
		value, _, _ = strings.Cut(value, ".")
	case byMachineID:
		value = strings.Map(func(r rune) rune {
			if strings.ContainsRune(":-._ ", r) {
				return -1
			}
			return r
		}, value)
	}
	return strings.ToLower(value)
}

// Len is the number of agents.
func (a *Agents) Len() int { return len(a.rows) }

// ByID returns the agents of that ID.
func (a *Agents) ByID(id string) []Agent { return a.find(byID, id) }

// ByHostID returns the agents whose host has that ID, in any case.
func (a *Agents) ByHostID(id string) []Agent { return a.find(byHostID, id) }

// ByMachineID returns the agents with that MAC address, with its prefix if there
// is one, in any spelling.
func (a *Agents) ByMachineID(id string) []Agent { return a.find(byMachineID, id) }

// ByHostName returns the agents whose host has that name, each without its domain.
func (a *Agents) ByHostName(name string) []Agent { return a.find(byName, name) }

func (a *Agents) find(kind int, value string) []Agent {
	key := keyOf(kind, value)
	if key == "" {
		return nil
	}
	hash := hashOf(key)
	keys := a.index[kind]
	from, _ := slices.BinarySearchFunc(keys, hash, func(k agentKey, hash uint32) int { return cmp.Compare(k.hash, hash) })
	var found []Agent
	for ; from < len(keys) && keys[from].hash == hash; from++ {
		if agent := a.agent(int(keys[from].row)); keyOf(kind, agent.value(kind)) == key {
			found = append(found, agent)
		}
	}
	return found
}

// value is what an agent is found by.
func (a *Agent) value(kind int) string {
	switch kind {
	case byID:
		return a.ID
	case byHostID:
		return a.HostID
	case byMachineID:
		return a.MachineID
	default:
		return a.HostName
	}
}

// agent unpacks an agent.
func (a *Agents) agent(n int) Agent {
	row := &a.rows[n]
	rest := a.text[row.at:]
	next := func(length uint16) (text string) {
		text, rest = rest[:length], rest[length:]
		return text
	}
	return Agent{
		ID: next(row.id), HostName: next(row.name), MachineID: next(row.machine), HostID: next(row.hostID),
		Customer: a.shared[row.customer], ClusterName: a.shared[row.cluster],
	}
}

// agentPacker packs agents.
type agentPacker struct {
	agents Agents
	text   strings.Builder
	shared map[string]uint32
}

// maxAgentText bounds each text of an agent, in bytes. A longer one identifies no
// host and counts as absent.
const maxAgentText = 1024

func (p *agentPacker) add(a Agent) {
	row := agentRow{at: uint32(p.text.Len()), customer: p.share(a.Customer), cluster: p.share(a.ClusterName)}
	for _, of := range []struct {
		length *uint16
		text   string
	}{{&row.id, a.ID}, {&row.name, a.HostName}, {&row.machine, a.MachineID}, {&row.hostID, a.HostID}} {
		if len(of.text) <= maxAgentText {
			*of.length = uint16(len(of.text))
			p.text.WriteString(of.text)
		}
	}
	p.agents.rows = append(p.agents.rows, row)
}

// share is the number of a text that many agents have.
func (p *agentPacker) share(text string) uint32 {
	if len(text) > maxAgentText {
		text = ""
	}
	n, known := p.shared[text]
	if !known {
		if p.shared == nil {
			p.shared = map[string]uint32{}
		}
		text = strings.Clone(text)
		n = uint32(len(p.agents.shared))
		p.shared[text] = n
		p.agents.shared = append(p.agents.shared, text)
	}
	return n
}

// pack indexes what was added.
func (p *agentPacker) pack() *Agents {
	a := &p.agents
	a.text, a.rows = p.text.String(), slices.Clip(a.rows)
	for kind := range a.index {
		keys := make([]agentKey, 0, len(a.rows))
		for n := range a.rows {
			agent := a.agent(n)
			if key := keyOf(kind, agent.value(kind)); key != "" {
				keys = append(keys, agentKey{hashOf(key), uint32(n)})
			}
		}
		slices.SortFunc(keys, func(x, y agentKey) int {
			return cmp.Or(cmp.Compare(x.hash, y.hash), cmp.Compare(x.row, y.row))
		})
		a.index[kind] = keys
	}
	return a
}
