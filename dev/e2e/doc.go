// Package e2e tests Firebreak as it runs in production: the real binary in
// separate processes, against a real Temporal server in a process of its own,
// where every one of them can be killed at any moment. Only Sysdig is
// simulated, by the test itself, so that it can count what took effect.
//
// The package must not import the Temporal server: it starts it.
package e2e
