// Package temporalclient connects to Temporal: with the settings of the
// `temporal` command, without failing when the server is not up yet, and with
// what the SDK's client does not tell by itself. It knows no playbook.
package temporalclient

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"firebreak/internal/certfile"
	"firebreak/internal/encryption"
)

// Options reads the connection's settings from where the `temporal` command
// reads them: the variables TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
// TEMPORAL_API_KEY, TEMPORAL_TLS…, TEMPORAL_GRPC_META_…, TEMPORAL_CODEC_…, and
// the profile TEMPORAL_PROFILE of the file TEMPORAL_CONFIG_FILE. Defaults:
// 127.0.0.1:7233 and namespace "default". A nil env is the environment of the
// process, a nil metrics none.
//
// A client certificate that comes from files is read anew when they change: the
// next connection shows it. A server ends connections after a while, five minutes
// by default. All else is as it was at the start.
//
// What is told Temporal is encrypted with the keyset; without one, a nil keys, by
// the codec server of the settings, and where there is none either it is not.
func Options(env envconfig.EnvLookup, keys *encryption.Keyset, logger *slog.Logger, metrics client.MetricsHandler) (client.Options, error) {
	profile, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{EnvLookup: env})
	var opts client.Options
	if err == nil {
		opts, err = profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	}
	if err == nil && opts.ConnectionOptions.TLS != nil && profile.TLS != nil && profile.TLS.ClientCertPath != "" {
		err = rotate(opts.ConnectionOptions.TLS, profile.TLS, logger)
	}
	if err != nil {
		return client.Options{}, fmt.Errorf("read Temporal connection settings: %w", err)
	}
	opts.HostPort = cmp.Or(opts.HostPort, "127.0.0.1:7233")
	opts.Namespace = cmp.Or(opts.Namespace, client.DefaultNamespace)
	opts.Logger = log.NewStructuredLogger(logger)
	opts.MetricsHandler = metrics
	encrypt := encryption.Intercept(keys, keys != nil)
	if server := profile.Codec; keys == nil && server != nil && server.Endpoint != "" {
		encrypt = encryption.Intercept(encryption.Remote(server.Endpoint, server.Auth, opts.Namespace), true)
	}
	opts.ConnectionOptions.DialOptions = append(opts.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(encrypt))
	return opts, nil
}

// rotate has the client certificate read anew when its files change.
func rotate(config *tls.Config, of *envconfig.ClientConfigTLS, logger *slog.Logger) error {
	pair, err := certfile.NewPair(of.ClientCertPath, of.ClientKeyPath, logger)
	if err != nil {
		return err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.Certificate(nil) }
	return nil
}

// New returns a client that connects when it is first used.
func New(opts client.Options) (client.Client, error) { return newClient(opts, nil) }

// newClient also has noticed called whenever the server refuses something.
func newClient(opts client.Options, noticed func()) (client.Client, error) {
	dial := &opts.ConnectionOptions.DialOptions
	*dial = append(slices.Clip(*dial), grpc.WithChainUnaryInterceptor(captureStarted, refusals(opts, noticed)))
	// The SDK compresses every request unless it is told not to. Those of an
	// incident have a few KiB each: to compress them, here and in the server's
	// answers, takes longer than to send them.
	opts.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	c, err := client.NewLazyClient(opts)
	if err != nil {
		return nil, fmt.Errorf("create Temporal client: %w", err)
	}
	return c, nil
}
