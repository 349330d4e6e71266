package worker_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/fx"

	"firebreak/internal/config"
	"firebreak/internal/telemetry"
	"firebreak/worker"
)

func TestTheModuleNeedsNothingItIsNotGiven(t *testing.T) {
	t.Parallel()
	require.NoError(t, fx.ValidateApp(
		fx.Supply(&config.Config{}, &telemetry.Metrics{}, slog.New(slog.DiscardHandler), client.Options{}, worker.Version{}),
		worker.Module,
	))
}
