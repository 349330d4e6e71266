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
	return m.Run()
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
