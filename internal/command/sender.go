package command

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// sender are the flags of whoever sends a signal.
type sender struct {
	analyst string
	wait    time.Duration
}

func (f *sender) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.analyst, "analyst", "", "`NAME` under which you act; if it is not given $USER, or the account's name")
	cmd.Flags().DurationVar(&f.wait, "wait", 10*time.Second, "how long to wait for an answer")
}

// check completes the flags and refuses bad ones.
func (f *sender) check(s *session) error {
	f.analyst = cmp.Or(strings.TrimSpace(f.analyst), strings.TrimSpace(s.environ["USER"]), s.Account)
	if f.analyst == "" {
		return usagef("--analyst is missing, USER is not set, and the account has no name: want your name")
	}
	if f.wait <= 0 {
		return usagef("--wait %s: must be more than 0, like 10s", f.wait)
	}
	return nil
}

// addReason adds the flag --reason.
func addReason(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "`WHY`, for the war room; required")
}

// checkReason trims the value of --reason and refuses an empty one.
func checkReason(reason *string) error {
	if *reason = strings.TrimSpace(*reason); *reason == "" {
		return usagef("--reason is missing: want why, for the war room")
	}
	return nil
}
