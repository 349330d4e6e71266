package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"firebreak/dev/internal/resident"
	"firebreak/dev/internal/stack"
	"firebreak/internal/sysdig/sysdigtest"
	"firebreak/signals"
)

// What the worker is held to.
const (
	residentBar = 64 << 20
	readyBar    = 2 * time.Second
)

// memorySizes are how many incidents wait, and which program waits for them.
type memorySizes struct {
	binary             string
	incidents, senders int
	approvals          int
	rest               time.Duration
}

func (z *memorySizes) register(flags *pflag.FlagSet) {
	flags.StringVar(&z.binary, "firebreak", "", "the program that is measured: a `FILE`")
	flags.IntVar(&z.incidents, "incidents", 10_000, "how many incidents wait")
	flags.IntVar(&z.senders, "senders", 16, "how many events are sent at a time")
	flags.DurationVar(&z.rest, "rest", 5*time.Second, "how long the worker is left alone before a look at its memory: what it did last is no part of its waiting")
	flags.IntVar(&z.approvals, "approvals", 200, "how many of the incidents are approved in the end")
}

func (z *memorySizes) validate() error {
	failed := positive(map[string]int{"incidents": z.incidents, "senders": z.senders, "approvals": z.approvals})
	if z.approvals > z.incidents {
		failed = errors.Join(failed, fmt.Errorf("--approvals %d: want %d, the incidents, or fewer", z.approvals, z.incidents))
	}
	if _, err := os.Stat(z.binary); err != nil {
		failed = errors.Join(failed, fmt.Errorf("--firebreak %q: %w", z.binary, err))
	}
	return failed
}

// memoryReport is what was measured.
type memoryReport struct {
	memorySizes
	idle, opened, openedPeak, restarted, approved, approvedPeak int64
	ready, readyAgain, stop, stopAgain                          time.Duration
}

// measure opens incidents that wait, restarts the worker, and approves some.
func (z *memorySizes) measure(ctx context.Context, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "firebreak-bench-")
	if err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	hosts := hosts("firebreak", z.incidents)
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := stack.Start(ctx, stack.Options{
		Dir: dir, Headless: true, WorkerApart: true, DynamicConfig: production(), Routes: routes, Logger: logger,
		Sysdig: sysdigtest.Options{Hosts: hosts, Step: time.Millisecond, RateLimit: sysdigtest.Unlimited},
	})
	if err != nil {
		return fmt.Errorf("start firebreak: %w", err)
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	m := &memory{
		memorySizes: *z, stack: s, stderr: stderr,
		program: newProgram(signals.TaskQueue, "crypto-miner", s.StarterURL+"/v1/events/"+stack.Source, targets(hosts)),
	}
	r, err := m.run(ctx)
	if err != nil {
		return err
	}
	return r.print(stdout)
}

// memory is the measurement under way.
type memory struct {
	memorySizes
	stack   *stack.Stack
	program *program
	stderr  io.Writer
}

func (m *memory) run(ctx context.Context) (_ *memoryReport, err error) {
	r := &memoryReport{memorySizes: m.memorySizes}
	w, err := m.startWorker(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.kill()) }()
	r.ready = w.ready
	if r.idle, err = m.resident(ctx, w); err != nil {
		return nil, err
	}
	if err := m.open(ctx); err != nil {
		return nil, fmt.Errorf("open incidents: %w", err)
	}
	if r.opened, err = m.resident(ctx, w); err == nil {
		r.openedPeak, err = resident.Peak(w.cmd.Process.Pid)
	}
	if err == nil {
		r.stop, err = w.stop()
	}
	if err != nil {
		return nil, err
	}
	again, err := m.startWorker(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, again.kill()) }()
	r.readyAgain = again.ready
	if r.restarted, err = m.resident(ctx, again); err != nil {
		return nil, err
	}
	if err := m.approve(ctx); err != nil {
		return nil, fmt.Errorf("approve incidents: %w", err)
	}
	if r.approved, err = m.resident(ctx, again); err == nil {
		r.approvedPeak, err = resident.Peak(again.cmd.Process.Pid)
	}
	if err == nil {
		r.stopAgain, err = again.stop()
	}
	return r, err
}

// open opens the incidents, and returns when all of them wait for an approval.
func (m *memory) open(ctx context.Context) error {
	work, sending := errgroup.WithContext(ctx)
	work.SetLimit(m.senders)
	for range m.incidents {
		work.Go(func() error {
			event, err := m.program.take().event(ruleApproved, 0)
			if err != nil {
				return err
			}
			return m.program.deliver(sending, event, new(atomic.Int64))
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return m.count(ctx, m.incidents, "IncidentState = '"+string(signals.AwaitingApproval)+"'")
}

// approve approves some of the incidents, and returns when they are completed.
func (m *memory) approve(ctx context.Context) error {
	work, sending := errgroup.WithContext(ctx)
	work.SetLimit(m.senders)
	for _, i := range rand.Perm(m.incidents)[:m.approvals] {
		id := m.program.workflowID(m.program.targets[i])
		work.Go(func() error {
			return m.stack.Client.SignalWorkflow(sending, id, "", signals.Approve, signals.Decision{Analyst: "bench", Reason: "measured"})
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return m.count(ctx, m.approvals, "ExecutionStatus = 'Completed'")
}

// count returns once so many incidents are found by a query.
func (m *memory) count(ctx context.Context, want int, query string) error {
	seen := int64(0)
	for moved := time.Now(); time.Since(moved) < patience; {
		answer, err := m.stack.Client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		if err != nil {
			return fmt.Errorf("count incidents: %w", err)
		}
		if answer.GetCount() == int64(want) {
			return nil
		}
		if answer.GetCount() != seen {
			seen, moved = answer.GetCount(), time.Now()
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d of %d incidents: %s, and no more for %s", seen, want, query, patience)
}

// workerProcess is a worker as a process.
type workerProcess struct {
	cmd   *exec.Cmd
	ready time.Duration
	// ended holds the error of the process's end, once it has ended.
	ended chan error
}

// startWorker starts a worker, and returns when it says that it is ready.
func (m *memory) startWorker(ctx context.Context) (*workerProcess, error) {
	w := &workerProcess{
		cmd:   exec.Command(m.binary, "worker", "--config", m.stack.ConfigFile, "--metrics-listen", "127.0.0.1:0", "--log-format", "json"),
		ended: make(chan error, 1),
	}
	w.cmd.Env = m.stack.Environ()
	log, err := w.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	begin := time.Now()
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	listening := make(chan string, 1)
	go func() {
		m.follow(log, listening)
		w.ended <- w.cmd.Wait()
	}()
	for url := ""; url == "" || !answers(ctx, url); {
		if time.Since(begin) > patience {
			return nil, errors.Join(fmt.Errorf("start worker: it is not ready after %s", patience), w.kill())
		}
		select {
		case address := <-listening:
			url = "http://" + address + "/readyz"
		case err := <-w.ended:
			return nil, fmt.Errorf("start worker: it ended: %w", err)
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), w.kill())
		case <-time.After(5 * time.Millisecond):
		}
	}
	w.ready = time.Since(begin)
	return w, nil
}

// follow reads a worker's log: tells where it listens, and passes on what is
// worse than news.
func (m *memory) follow(log io.Reader, listening chan<- string) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Level, Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Level != "INFO" {
			fmt.Fprintln(m.stderr, lines.Text())
		}
		if line.Msg == "listening" {
			listening <- line.Address
		}
	}
}

// answers reports whether a probe succeeds.
func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// resident is how much of a worker is in memory while it waits.
func (m *memory) resident(ctx context.Context, w *workerProcess) (int64, error) {
	if err := pause(ctx, m.rest); err != nil {
		return 0, err
	}
	return resident.Now(w.cmd.Process.Pid)
}

// stop asks the worker to end, and returns how long that took.
func (w *workerProcess) stop() (time.Duration, error) {
	begin := time.Now()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("stop worker: %w", err)
	}
	if err := w.wait(); err != nil {
		return 0, fmt.Errorf("the worker did not end well: %w", err)
	}
	return time.Since(begin), nil
}

// kill ends a worker that is not needed any more.
func (w *workerProcess) kill() error {
	if err := w.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill worker: %w", err)
	}
	_ = w.wait() // it was killed
	return nil
}

// wait returns when the worker has ended.
func (w *workerProcess) wait() error {
	err := <-w.ended
	w.ended <- err
	return err
}

// print writes the report as a table, each row with the bar it is held to.
func (r *memoryReport) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The worker as a process, with %d incidents that wait for an approval.\n\n", r.incidents)
	fmt.Fprintf(&b, "%-52s %10s %9s\n", "", "worker", "bar")
	memory := func(name string, bytes int64, barred bool) {
		bar, verdict := "", ""
		if barred {
			bar, verdict = fmt.Sprintf("<= %.1f", mib(residentBar)), met(bytes <= residentBar)
		}
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%-52s %10.1f %9s  %s", name, mib(bytes), bar, verdict), " "))
	}
	took := func(name string, d time.Duration, barred bool) {
		bar, verdict := "", ""
		if barred {
			bar, verdict = fmt.Sprintf("<= %.1f", readyBar.Seconds()), met(d <= readyBar)
		}
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%-52s %10.2f %9s  %s", name, d.Seconds(), bar, verdict), " "))
	}
	took("ready after the start (s)", r.ready, true)
	memory("resident, nothing to do (MiB)", r.idle, false)
	memory("resident, having opened them, all waiting (MiB)", r.opened, true)
	memory("  the most until then (MiB)", r.openedPeak, false)
	took("stopped by SIGTERM, exit code 0 (s)", r.stop, false)
	took("ready after the start with all of them waiting (s)", r.readyAgain, true)
	memory("resident after that start, all waiting (MiB)", r.restarted, true)
	memory(fmt.Sprintf("resident, having contained %d of them (MiB)", r.approvals), r.approved, true)
	memory("  the most until then (MiB)", r.approvedPeak, false)
	took("stopped by SIGTERM, exit code 0 (s)", r.stopAgain, false)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
