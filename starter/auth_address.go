package starter

import (
	"errors"
	"net/http"
	"net/netip"
)

// errAddress is why an address does not let anybody in.
var errAddress = errors.New("the address is not in the source's allow-list")

// allows reports whether a request comes from an address that may send. It is
// the other end of the connection, never what X-Forwarded-For or a like header
// says: whoever sends a request can write those, and only a proxy that is known
// to overwrite them makes them true. Behind such a proxy the list belongs into
// the proxy.
func (s *Source) allows(r *http.Request) error {
	if len(s.Allow) == 0 {
		return nil
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return errAddress
	}
	// A listener on both IP versions sees an IPv4 address as ::ffff:a.b.c.d; a
	// zone only says through which interface a link-local address came.
	address := remote.Addr().Unmap().WithZone("")
	for _, network := range s.Allow {
		if network.Contains(address) {
			return nil
		}
	}
	return errAddress
}
