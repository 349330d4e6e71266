package temporalserver

import (
	"net"

	uiserver "github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// newUI makes the Web UI; its pages are compiled in.
func newUI(o Options, s *secrecy) *uiserver.Server {
	return uiserver.NewServer(server_options.WithConfigProvider(&config.Config{
		Host:                host(o.IP),
		Port:                o.UIPort,
		TemporalGRPCAddress: o.address(),
		TLS:                 s.ui(),
		EnableUI:            true,
		// The page is served over plain HTTP, where a browser drops secure cookies.
		CORS:             config.CORS{CookieInsecure: true},
		HideLogs:         true,
		DisableNewsFetch: true, // nothing leaves the machine
	}))
}

// host is an address as it stands before a colon and a port.
func host(ip string) string {
	if net.ParseIP(ip).To4() == nil {
		return "[" + ip + "]"
	}
	return ip
}
