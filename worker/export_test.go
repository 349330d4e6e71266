package worker

import (
	"log/slog"

	"go.temporal.io/sdk/interceptor"
)

// NextAttempt makes the prediction of retries testable.
var NextAttempt = nextAttempt

// ReportRetries is the interceptor of a worker.
func ReportRetries(to signaler, log *slog.Logger) interceptor.WorkerInterceptor {
	return &reportRetries{temporal: to, log: log}
}
