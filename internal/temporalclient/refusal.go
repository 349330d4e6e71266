package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// refusals is the interceptor that adds to what a server refuses the reason why,
// and what to set, so that it is told wherever the error ends up: in a log of the
// SDK's, in an answer to a sender of events, on an analyst's terminal. The type
// of the error stays. noticed, if it is not nil, is called for each.
func refusals(opts client.Options, noticed func()) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, callOpts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, callOpts...)
		if err == nil {
			return nil
		}
		answer := status.Convert(err)
		p := refusal(answer, method, namespaceOf(req, opts), authenticates(ctx, opts))
		if p == nil {
			return err
		}
		if noticed != nil {
			noticed()
		}
		explained := answer.Proto()
		explained.Message += " (" + p.Error() + ")"
		return status.ErrorProto(explained)
	}
}

// refusal is why a call was refused, nil where it was not or failed otherwise.
func refusal(answer *status.Status, method, namespace string, authenticated bool) *Problem {
	var missing *serviceerror.NamespaceNotFound
	switch {
	case errors.As(serviceerror.FromStatus(answer), &missing):
		return &Problem{
			CauseNamespace, fmt.Sprintf("there is no namespace %q", namespace),
			fmt.Sprintf("set TEMPORAL_NAMESPACE to one that is there, or make it: temporal operator namespace create --namespace %s --retention 72h", namespace),
		}
	case answer.Code() != codes.Unauthenticated && answer.Code() != codes.PermissionDenied:
		return nil
	case !authenticated:
		return &Problem{
			CauseCredentials, call(method, namespace) + " is denied to whoever sends no credentials",
			"set TEMPORAL_API_KEY, or TEMPORAL_GRPC_META_AUTHORIZATION for a token in a header",
		}
	case answer.Code() == codes.Unauthenticated, forEverybody(method):
		return &Problem{
			CauseCredentials, "the API key or token is not accepted: it may have expired, or be another server's",
			"set TEMPORAL_API_KEY, or TEMPORAL_GRPC_META_AUTHORIZATION, to one that is valid",
		}
	default:
		return &Problem{
			CausePermission, call(method, namespace) + " is denied to this API key or token",
			fmt.Sprintf("give its owner the permission %q on the namespace", permission(method)),
		}
	}
}

// forEverybody reports whether a call is allowed to everybody whose credentials
// are accepted, whatever his permissions (Temporal's authorizer; its claim mapper
// has been asked before).
func forEverybody(method string) bool {
	return path.Base(method) == "GetSystemInfo" || method == grpc_health_v1.Health_Check_FullMethodName
}

// permission is the one that a call needs, by Temporal's words for it.
func permission(method string) string {
	if strings.Contains(method, ".operatorservice.") {
		return "admin"
	}
	for _, prefix := range []string{"Get", "List", "Describe", "Count", "Query", "Scan"} {
		if strings.HasPrefix(path.Base(method), prefix) {
			return "read"
		}
	}
	return "write"
}

func call(method, namespace string) string {
	return fmt.Sprintf("%s in namespace %q", path.Base(method), namespace)
}

// namespaceOf is the namespace that a request is about.
func namespaceOf(req any, opts client.Options) string {
	if named, ok := req.(interface{ GetNamespace() string }); ok && named.GetNamespace() != "" {
		return named.GetNamespace()
	}
	return opts.Namespace
}

// authenticates reports whether a client with these options tells who it is
// beyond a certificate.
func authenticates(ctx context.Context, opts client.Options) bool {
	if opts.Credentials != nil {
		return true
	}
	if opts.HeadersProvider == nil {
		return false
	}
	headers, err := opts.HeadersProvider.GetHeaders(ctx)
	_, given := headers["authorization"]
	return err == nil && given
}
