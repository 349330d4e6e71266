package command

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// watchInterval is the time between two looks of --watch.
const watchInterval = 2 * time.Second

// watch prints what look prints whenever that has changed, until look says that
// it was the last one.
func (s *session) watch(ctx context.Context, look func() (last bool, err error)) error {
	out := s.Stdout
	var shown []byte
	for tick := time.NewTicker(watchInterval); ; {
		var now bytes.Buffer
		s.Stdout = &now
		last, err := look()
		switch {
		case ctx.Err() != nil:
			return nil // Ctrl-C is how it ends
		case err != nil:
			return err
		case !bytes.Equal(now.Bytes(), shown):
			if shown != nil {
				_, _ = fmt.Fprintln(out)
			}
			shown = now.Bytes()
			if _, err := out.Write(shown); err != nil {
				return fmt.Errorf("write output: %w", err)
			}
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
