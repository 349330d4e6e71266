package guard

import (
	"time"

	"firebreak/signals"
)

// Known is what the watch has in memory; known is false where that is too old.
func (w *Watch) Known() (frozen *signals.Frozen, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frozen, time.Since(w.seen) < stale
}
