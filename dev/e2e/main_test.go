package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	// A change of the product must run these tests again, also where `go test`
	// would repeat a cached result: it does not know what a test builds.
	_ "firebreak/internal/command"
)

// Set once by TestMain, before any test runs.
var (
	// binaries is the folder with the binaries `firebreak` and `dev`.
	binaries string
	// shared is the Temporal server of the tests that do not kill theirs. They
	// keep apart by task queue, host and container.
	shared *temporalServer
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "firebreak-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries = dir
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shared, err = startTemporal(ctx, dir, "0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.stop()
	keeper, err := startKeeper(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer keeper.kill()
	return m.Run()
}

// startKeeper starts the worker that serves the guard of the shared server: the
// workers of the tests come and go, and captures take their turns at the guard.
func startKeeper(ctx context.Context, dir string) (*process, error) {
	const nowhere = "http://127.0.0.1:1"
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TEMPORAL_ADDRESS=" + shared.address, "SYSDIG_SECURE_API_TOKEN=unused"}
	p, err := launch(dir, "keeper", env, firebreak(), "worker", "--metrics-listen", "127.0.0.1:0", "--task-queue", "guard",
		"--sysdig-app-url", nowhere, "--sysdig-api-url", nowhere, "--evidence-url", "file://"+filepath.Join(dir, "evidence"), "--log-format", "json")
	if err != nil {
		return nil, err
	}
	if _, err := p.await(ctx, `(The worker has started)`); err != nil {
		p.kill()
		return nil, fmt.Errorf("start the worker of the guard: %w\n%s", err, p.tail())
	}
	return p, nil
}

// build builds both binaries, as make does.
func build(dir string) error {
	for name, module := range map[string]string{"firebreak": "../..", "dev": ".."} {
		tags := ""
		if name == "firebreak" {
			tags = "disable_grpc_modules"
		}
		cmd := exec.Command("go", "build", "-tags", tags, "-o", filepath.Join(dir, name), ".")
		cmd.Dir = module
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, output)
		}
	}
	return nil
}

func firebreak() string { return filepath.Join(binaries, "firebreak") }
