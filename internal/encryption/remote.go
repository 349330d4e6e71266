package encryption

import (
	"net/http"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
)

// remotePatience bounds a question to a codec server.
const remotePatience = 10 * time.Second

// Remote is the codec of whoever has no key: it asks a codec server, as the
// temporal CLI does. "{namespace}" in its endpoint stands for the namespace. Auth
// is sent as the Authorization header.
func Remote(endpoint, auth, namespace string) converter.PayloadCodec {
	return converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{
		Endpoint: strings.TrimSuffix(strings.ReplaceAll(endpoint, "{namespace}", namespace), "/"),
		ModifyRequest: func(r *http.Request) error {
			r.Header.Set("X-Namespace", namespace)
			if auth != "" {
				r.Header.Set("Authorization", auth)
			}
			return nil
		},
		Client: http.Client{Timeout: remotePatience},
	})
}
