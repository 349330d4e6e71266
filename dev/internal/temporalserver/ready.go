package temporalserver

import (
	"context"
	"fmt"
	"maps"
	"net"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"firebreak/signals"
)

const (
	startTimeout = 30 * time.Second // it takes half a second on an idle machine
	pollInterval = 20 * time.Millisecond
)

// awaitReady returns when Temporal and the Web UI answer and every namespace has
// its search attributes.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	options := client.Options{HostPort: s.Address(), Logger: log.NewStructuredLogger(s.options.Logger)}
	if s.authority != nil {
		options.Credentials = client.NewAPIKeyStaticCredentials(s.authority.admin)
		options.ConnectionOptions.TLSDisabled = s.secrecy == nil // a key would turn it on
	}
	var err error
	if options.ConnectionOptions.TLS, err = s.secrecy.client(); err != nil {
		return fmt.Errorf("await temporal: %w", err)
	}
	c, err := client.NewLazyClient(options)
	if err != nil {
		return fmt.Errorf("await temporal: %w", err)
	}
	defer c.Close()
	err = poll(ctx, func() error {
		_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	})
	if err != nil {
		return fmt.Errorf("await temporal on %s: %w", s.Address(), err)
	}

	for _, namespace := range s.options.Namespaces {
		if err := addSearchAttributes(ctx, c.OperatorService(), namespace, s.options.searchAttributes()); err != nil {
			return fmt.Errorf("namespace %q: %w", namespace, err)
		}
	}

	if s.ui == nil {
		return nil
	}
	err = poll(ctx, func() error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.options.uiAddress())
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return fmt.Errorf("await web ui on %s: %w", s.options.uiAddress(), err)
	}
	return nil
}

// addSearchAttributes adds what a namespace lacks. A namespace made by this
// start has them all; one from an older database file may not.
func addSearchAttributes(ctx context.Context, operator operatorservice.OperatorServiceClient, namespace string, want map[string]enumspb.IndexedValueType) error {
	have, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("list search attributes: %w", err)
	}
	missing := maps.Clone(want)
	maps.DeleteFunc(missing, func(name string, _ enumspb.IndexedValueType) bool {
		_, ok := have.CustomAttributes[name]
		return ok
	})
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	return nil
}

// searchAttributes are Firebreak's own and those that were asked for.
func (o Options) searchAttributes() map[string]enumspb.IndexedValueType {
	attributes := map[string]enumspb.IndexedValueType{}
	for _, key := range signals.SearchAttributeKeys() {
		attributes[key.GetName()] = key.GetValueType()
	}
	maps.Copy(attributes, o.SearchAttributes)
	return attributes
}

// poll tries until it works; the last error tells why it did not.
func poll(ctx context.Context, try func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
