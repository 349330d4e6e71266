//go:build !linux

package cluster

import "syscall"

// attributes are nothing special: there is no cluster; see Missing.
func attributes(of *syscall.SysProcAttr) *syscall.SysProcAttr { return of }
