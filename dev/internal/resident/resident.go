// Package resident tells how much memory a process has, as Linux does in
// /proc/PID/status.
package resident

import (
	"bytes"
	"fmt"
	"os"
)

// Now is how much of a process is in memory, in bytes.
func Now(pid int) (int64, error) { return read(pid, "VmRSS") }

// Peak is the most that was, since the process began, in bytes.
func Peak(pid int) (int64, error) { return read(pid, "VmHWM") }

func read(pid int, key string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range bytes.Lines(status) {
		var kib int64
		if n, _ := fmt.Sscanf(string(line), key+": %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read the memory of process %d: no %s", pid, key)
}
