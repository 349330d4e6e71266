package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"
)

// Cause is which of a connection's settings is to be looked at.
type Cause string

// The causes. What else goes wrong has none: it is an error as the server worded
// it.
const (
	// CauseAddress is a host or a port: nothing of Temporal's answers there.
	CauseAddress Cause = "address"
	// CauseCertificate is TLS: the server's certificate, this side's, or that one
	// side speaks it and the other does not.
	CauseCertificate Cause = "certificate"
	// CauseCredentials is an API key or a token that the server does not accept.
	CauseCredentials Cause = "credentials"
	// CauseNamespace is a namespace that is not there.
	CauseNamespace Cause = "namespace"
	// CausePermission is a call that the server denies to whoever asks.
	CausePermission Cause = "permission"
)

// Problem is why Temporal cannot be used, and what to do about it.
type Problem struct {
	Cause Cause
	// Detail is what is wrong, Advice what to set instead.
	Detail, Advice string
}

// Error is the problem in one line.
func (p *Problem) Error() string { return fmt.Sprintf("%s: %s; %s", p.Cause, p.Detail, p.Advice) }

// otherHTTP is how gRPC words an answer that is HTTP, but none of gRPC's: a proxy's
// or a web server's.
const otherHTTP = "unexpected HTTP status code"

// Diagnose says of an error of a client with these options what is wrong with
// the connection. gRPC tells little of that, so where it could not connect the
// server is connected to once more, by hand; the context bounds it. What a
// server answered explains itself already: clients of [New] see to that.
func Diagnose(ctx context.Context, opts client.Options, err error) error {
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), otherHTTP) {
		_, answer, _ := strings.Cut(err.Error(), otherHTTP)
		err = notTemporal(opts.HostPort, fmt.Errorf("it answers %s", strings.TrimPrefix(answer, " received from server: ")))
	} else if unreachable(err) {
		if p := probe(ctx, opts); p != nil {
			err = p
		}
	}
	return fmt.Errorf("connect to Temporal at %s: %w", opts.HostPort, err)
}

// unreachable reports whether no server answered.
func unreachable(err error) bool {
	var answer serviceerror.ServiceError
	if !errors.As(err, &answer) {
		return errors.Is(err, context.DeadlineExceeded)
	}
	code := answer.Status().Code()
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}
