package temporalserver

import (
	"fmt"
	"net"
	"strconv"
)

// choosePort picks a free port if port is 0, and checks that any other is free:
// the servers themselves end the process when it is not.
func choosePort(ip string, port int) (int, error) {
	if port == 0 {
		return freePort(ip)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return 0, fmt.Errorf("port %d: %w", port, err)
	}
	return port, listener.Close()
}

// freePort picks a port that nobody listens on. One connection is made to it and
// closed from the listener's side, because Linux hands out a port that has such
// a connection in TIME_WAIT to nobody else for a minute, yet lets us listen on
// it: servers that start side by side do not take one another's ports.
func freePort(ip string) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()

	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	defer client.Close()
	accepted, err := listener.Accept()
	if err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	if err := accepted.Close(); err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).Port, nil
}
