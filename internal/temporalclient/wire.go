package temporalclient

import (
	"context"

	"go.temporal.io/sdk/client"
	"go.uber.org/fx"

	"firebreak/internal/telemetry"
)

// Module gives a process its Temporal client, which is closed last, and a
// readiness that asks whether Temporal answers. It wants client.Options.
var Module = fx.Provide(
	func(lc fx.Lifecycle, options client.Options) (client.Client, error) {
		c, err := New(options)
		if err != nil {
			return nil, err
		}
		lc.Append(fx.StopHook(c.Close))
		return c, nil
	},
	func(c client.Client) *telemetry.Readiness {
		return telemetry.NewReadiness(func(ctx context.Context) error {
			_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
			return err
		})
	},
)
