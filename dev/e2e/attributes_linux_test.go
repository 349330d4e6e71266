package e2e_test

import "syscall"

// attributes give a process a group of its own. It ends with the test, also
// when the test is killed or runs out of time.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
