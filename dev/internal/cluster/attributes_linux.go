package cluster

import "syscall"

// attributes give a process a group of its own. It ends with this one, also when
// this one is killed.
func attributes(of *syscall.SysProcAttr) *syscall.SysProcAttr {
	if of == nil {
		of = &syscall.SysProcAttr{}
	}
	of.Setpgid, of.Pdeathsig = true, syscall.SIGKILL
	return of
}
