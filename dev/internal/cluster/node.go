package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Node is a process of the cluster.
type Node struct {
	Name string
	// Cmd is the process that runs, or the last one that did, in a process group of
	// its own; Output is the file of its stdout and stderr, and Ended is closed when
	// it has ended and was reaped. They are nil and empty before the first Start.
	Cmd    *exec.Cmd
	Output string
	Ended  chan struct{}

	dir     string
	command func() *exec.Cmd
	// ready, if there is one, returns nil once the process serves, and errAgain if
	// it has to be started again.
	ready func(*Node) error
}

// errAgain says that a process has ended because something was not there yet.
var errAgain = errors.New("ended, and is to be started again")

// Start starts a node that has ended, or was never started. PostgreSQL serves when
// it returns; Temporal's roles do so when they have found one another. A role that
// finds no database ends by itself, and is to be started again.
func (n *Node) Start(ctx context.Context) error {
	for {
		if err := n.launch(); err != nil {
			return err
		}
		if n.ready == nil {
			return nil
		}
		err := poll(ctx, startTimeout, func() error { return n.ready(n) })
		if err == nil {
			return nil
		}
		n.Kill()
		if !errors.Is(err, errAgain) {
			return fmt.Errorf("start %s: %w\n%s", n.Name, err, n.Tail())
		}
	}
}

func (n *Node) launch() error {
	output, err := os.CreateTemp(n.dir, "*.log")
	if err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	defer output.Close()
	cmd, ended := n.command(), make(chan struct{})
	cmd.Dir, cmd.Env = n.dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = attributes(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	n.Cmd, n.Output, n.Ended = cmd, output.Name(), ended
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended does not matter: most are killed
	}()
	return nil
}

// HasEnded reports whether no process of the node runs.
func (n *Node) HasEnded() bool {
	if n.Cmd == nil {
		return true
	}
	select {
	case <-n.Ended:
		return true
	default:
		return false
	}
}

// Kill is kill -9. It returns when the process is gone.
func (n *Node) Kill() {
	if n.HasEnded() {
		return
	}
	_ = syscall.Kill(-n.Cmd.Process.Pid, syscall.SIGKILL) // it may end by itself just now
	<-n.Ended
}

// Tail is the end of the output.
func (n *Node) Tail() string {
	const most = 4 << 10
	text, err := os.ReadFile(n.Output)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// stopped is an error after which there is nothing to wait for.
type stopped struct{ error }

func (s stopped) Unwrap() error { return s.error }

// poll tries until it works, or for as long as it may take; the last error tells
// why it did not.
func poll(ctx context.Context, most time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		var end stopped
		if err == nil || errors.As(err, &end) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
