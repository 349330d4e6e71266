package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a process that a test started, in a process group of its own.
type process struct {
	cmd *exec.Cmd
	// output is the file of its stdout and stderr.
	output string
	// ended is closed when it has ended and was reaped.
	ended chan struct{}
}

// launch starts a process that writes to a new file in dir.
func launch(dir, name string, env []string, command string, args ...string) (*process, error) {
	output, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer output.Close()
	p := &process{cmd: exec.Command(command, args...), output: output.Name(), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = env, dir
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.SysProcAttr = attributes()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended does not matter: most are killed
	}()
	return p, nil
}

// start launches a process that does not outlive the test. If the test fails,
// the end of its output is shown.
func start(t *testing.T, name string, env []string, command string, args ...string) *process {
	t.Helper()
	p, err := launch(t.TempDir(), name, env, command, args...)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of the output of %s:\n%s", name, p.tail())
		}
	})
	return p
}

// kill is kill -9. It returns when the process is gone.
func (p *process) kill() {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may end by itself just now
		<-p.ended
	}
}

// terminate asks the process to end.
func (p *process) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) } // it may have ended

// code waits until the process has ended by itself, and returns its exit code.
func (p *process) code(ctx context.Context, t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-ctx.Done():
		require.NoError(t, context.Cause(ctx), "waiting until the process has ended")
	}
	return p.cmd.ProcessState.ExitCode()
}

// await returns the first match of a pattern's group in the output.
func (p *process) await(ctx context.Context, pattern string) (string, error) {
	expression := regexp.MustCompile(pattern)
	var found [][]byte
	err := poll(ctx, func() bool {
		text, err := os.ReadFile(p.output)
		found = expression.FindSubmatch(text)
		select {
		case <-p.ended:
			return true
		default:
			return err == nil && found != nil
		}
	})
	if err == nil && found == nil {
		err = errors.New("the process ended")
	}
	if err != nil {
		return "", fmt.Errorf("wait for %q in the output: %w\n%s", pattern, err, p.tail())
	}
	return string(found[1]), nil
}

// tail is the end of the output.
func (p *process) tail() string {
	const most = 4 << 10
	text, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// poll asks until the condition holds or the context ends.
func poll(ctx context.Context, condition func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}
