package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// parseNetwork reads an entry of an allow-list: a network in CIDR notation, or
// one address.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		text = netip.PrefixFrom(address, address.BitLen()).String()
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("want a network or an address, like 203.0.113.0/24 or 2001:db8::7")
	case network.Addr().Is4In6():
		return netip.Prefix{}, errors.New("want it written as IPv4, like 203.0.113.0/24")
	case network != network.Masked():
		// Whoever wrote this meant either, and one of them lets in too many.
		return netip.Prefix{}, fmt.Errorf("want its network, %s, or the address %s alone", network.Masked(), network.Addr())
	}
	return network, nil
}

// Networks are those of the allow-list; none means that every address may send.
// Load has checked them.
func (s Source) Networks() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range s.Allow {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("source %s: allow %q: %w", s.Name, text, err)
		}
		networks = append(networks, network)
	}
	return networks, nil
}
