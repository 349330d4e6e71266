package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// environ is the environment by name.
type environ map[string]string

func newEnviron(environment []string) environ {
	e := environ{}
	for _, entry := range environment {
		if name, value, ok := strings.Cut(entry, "="); ok {
			e[name] = value
		}
	}
	return e
}

// LookupEnv is os.LookupEnv.
func (e environ) LookupEnv(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

// Environ is os.Environ.
func (e environ) Environ() []string {
	var entries []string
	for _, name := range slices.Sorted(maps.Keys(e)) {
		entries = append(entries, name+"="+e[name])
	}
	return entries
}

// variable is the environment variable of a flag: FIREBREAK_SOME_THING for
// --some-thing.
func variable(flag string) string {
	return "FIREBREAK_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// helpFlag is the one flag without a variable: cobra adds it by itself.
const helpFlag = "help"

// fill sets the flags that were not given from their variables. An empty
// variable is as good as none.
func (e environ) fill(flags *pflag.FlagSet) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		value := e[variable(f.Name)]
		if f.Changed || f.Name == helpFlag || value == "" || err != nil {
			return
		}
		if set := flags.Set(f.Name, value); set != nil {
			err = &UsageError{fmt.Errorf("environment variable %s: %w", variable(f.Name), set)}
		}
	})
	return err
}

// describeVariables adds to the help of every flag the variable that sets it.
func describeVariables(cmd *cobra.Command) {
	describe := func(f *pflag.Flag) { f.Usage += " [" + variable(f.Name) + "]" }
	cmd.LocalNonPersistentFlags().VisitAll(describe)
	cmd.PersistentFlags().VisitAll(describe)
	for _, sub := range cmd.Commands() {
		describeVariables(sub)
	}
}
