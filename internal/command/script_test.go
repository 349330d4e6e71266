package command_test

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"firebreak/internal/command"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"firebreak": func() {
		os.Exit(command.Run(context.Background(), os.Args[1:], command.Env{
			Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	}})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
