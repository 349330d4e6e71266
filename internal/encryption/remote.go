package encryption

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// remotePatience bounds a question to a codec server.
const remotePatience = 10 * time.Second

// Remote is the codec of whoever has no key: it asks a codec server, as the
// temporal CLI does. "{namespace}" in its endpoint stands for the namespace. Auth
// is sent as the Authorization header. No error quotes the endpoint, whose path
// may be what lets in: Temporal is told why a task could not be read.
func Remote(endpoint, auth, namespace string) converter.PayloadCodec {
	endpoint = strings.TrimSuffix(strings.ReplaceAll(endpoint, "{namespace}", namespace), "/")
	return &remote{endpoint, converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{
		Endpoint: endpoint,
		ModifyRequest: func(r *http.Request) error {
			r.Header.Set("X-Namespace", namespace)
			if auth != "" {
				r.Header.Set("Authorization", auth)
			}
			return nil
		},
		Client: http.Client{Timeout: remotePatience},
	})}
}

type remote struct {
	endpoint string
	codec    converter.PayloadCodec
}

// Encode has payloads encrypted.
func (r *remote) Encode(payloads []*common.Payload) ([]*common.Payload, error) {
	encoded, err := r.codec.Encode(payloads)
	return encoded, r.conceal(err)
}

// Decode has payloads decrypted.
func (r *remote) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	decoded, err := r.codec.Decode(payloads)
	return decoded, r.conceal(err)
}

// conceal words an error without the endpoint, which HTTP clients quote, and
// servers and proxies, too, that do not know a path.
func (r *remote) conceal(err error) error {
	if err == nil {
		return nil
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	text := err.Error()
	if u, bad := url.Parse(r.endpoint); bad == nil && strings.Trim(u.Path, "/") != "" {
		text = strings.NewReplacer(strings.Trim(u.Path, "/"), "…", strings.Trim(u.EscapedPath(), "/"), "…").Replace(text)
	}
	return fmt.Errorf("ask the codec server: %s", strings.TrimSpace(text))
}
