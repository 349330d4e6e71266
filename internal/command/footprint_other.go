//go:build !linux

package command

// forgetStartup is for Linux only.
func forgetStartup() {}
