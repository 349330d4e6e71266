package temporalserver

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const (
	clusterName = "active"
	storeName   = "sqlite"
)

// settings are the dynamic configuration, beneath what Options ask for.
func settings() map[string]any {
	return map[string]any{
		// A search attribute can be used as soon as it is registered. Reading
		// them anew each time costs queries, hence the raised limits.
		"system.forceSearchAttributesCacheRefreshOnRead": true,
		"frontend.persistenceMaxQPS":                     10_000,
		"history.persistenceMaxQPS":                      45_000,
		// These limits are for each of hundreds of shards. Here is one, and from 20
		// tasks per second on it would pause up to 50 ms before each.
		"history.transferProcessorMaxPollRPS":   1000,
		"history.timerProcessorMaxPollRPS":      1000,
		"history.visibilityProcessorMaxPollRPS": 1000,
		// Partitions spread a task queue over hosts. Here is one, and after a crash a
		// task in another partition than the one a worker polls waited until that
		// poll ended: up to a minute.
		"matching.numTaskqueueReadPartitions":  1,
		"matching.numTaskqueueWritePartitions": 1,
		// One host serves everybody who lists workflows.
		"frontend.namespaceRPS.visibility": 100,
		"history.hostLevelCacheMaxSize":    8096,
		// Signals carry the authenticated identity of who sent them.
		"frontend.enablePrincipalPropagation": true,
		// The server does not ask its vendor for newer versions.
		"frontend.enableServerVersionCheck": false,
	}
}

func newTemporal(o Options, a *authority, s *secrecy, database *config.SQL, l *logger) (temporal.Server, error) {
	names := temporal.DefaultServices
	// Named, because the server warns of what is left to its defaults.
	authorizer, claims := authorization.NewNoopAuthorizer(), authorization.NewNoopClaimMapper()
	if a != nil || s != nil {
		// The server's own workers have no token and no certificate, but a frontend
		// to themselves.
		names = append(slices.Clone(names), string(primitives.InternalFrontendService))
	}
	if a != nil {
		authorizer, claims = authorization.NewDefaultAuthorizer(), newClaimMapper(a.keys, l)
	}
	services, hosts, err := services(o, names)
	if err != nil {
		return nil, err
	}
	dynamic := dynamicconfig.StaticClient{}
	values := settings()
	maps.Copy(values, o.DynamicConfig)
	for key, value := range values {
		dynamic[dynamicconfig.MakeKey(key)] = value
	}
	return temporal.NewServer(
		temporal.WithConfig(serverConfig(o, s, database, services)),
		temporal.ForServices(names),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(l),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamic),
	)
}

func serverConfig(o Options, s *secrecy, database *config.SQL, services map[string]config.Service) *config.Config {
	disabled := config.ArchivalNamespaceDefaults{
		History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
		Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
	}
	c := &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: 1, // SQLite has one writer anyway
			DataStores:       map[string]config.DataStore{storeName: {SQL: database}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {
					Enabled:                true,
					InitialFailoverVersion: 1,
					RPCAddress:             o.address(),
					// Kept by the database file from its first start on.
					ClusterID: uuid.NewString(),
				},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: disabled},
	}
	if s != nil {
		c.Global.TLS.Frontend.Server = s.server
	}
	return c
}

// services gives each of the server's services its port: the frontend the one
// that callers use, the others any.
func services(o Options, names []string) (map[string]config.Service, map[primitives.ServiceName]static.Hosts, error) {
	services := map[string]config.Service{}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, name := range names {
		port := o.Port
		if name != string(primitives.FrontendService) {
			var err error
			if port, err = freePort(o.IP); err != nil {
				return nil, nil, fmt.Errorf("%s service: %w", name, err)
			}
		}
		services[name] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: o.IP}}
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(net.JoinHostPort(o.IP, strconv.Itoa(port)))
	}
	return services, hosts, nil
}
