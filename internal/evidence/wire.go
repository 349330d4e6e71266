package evidence

import (
	"context"

	"go.uber.org/fx"

	"firebreak/internal/config"
)

// Module gives a process the store of its *config.Config, closed when it stops.
var Module = fx.Provide(func(lc fx.Lifecycle, cfg *config.Config) (*Store, error) {
	store, err := Open(context.Background(), cfg.Evidence.URL)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(store.Close))
	return store, nil
})
