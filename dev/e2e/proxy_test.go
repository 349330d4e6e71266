package e2e_test

import (
	"io"
	"net"
	"sync"

	"github.com/stretchr/testify/require"
)

// proxy stands between the starter and a Temporal server, and can part them.
type proxy struct {
	address, server string

	mu sync.Mutex
	// holding keeps answers back, severed lets nobody through at all.
	holding, severed bool
	// conns are the connections to both sides, held what is kept back of each.
	conns map[net.Conn]bool
	held  map[net.Conn][]byte
}

// between puts a proxy between the installation's starter and its Temporal
// server, from the starter's next start on.
func (f *installation) between() *proxy {
	f.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	p := &proxy{
		address: listener.Addr().String(), server: f.temporal.address,
		conns: map[net.Conn]bool{}, held: map[net.Conn][]byte{},
	}
	var serving sync.WaitGroup
	serving.Go(func() { p.serve(listener) })
	f.t.Cleanup(func() {
		_ = listener.Close()
		p.sever()
		serving.Wait()
	})
	f.starterEnv = append(f.starterEnv, "TEMPORAL_ADDRESS="+p.address)
	return p
}

// hold lets every request through, and keeps the answers back until release.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding = true
}

// sever breaks every connection, and every new one, until release.
func (p *proxy) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.severed = true
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// release lets everything through, and first what was held.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding, p.severed = false, false
	for client, answers := range p.held {
		_, _ = client.Write(answers) // it may be gone
	}
	clear(p.held)
}

func (p *proxy) serve(listener net.Listener) {
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		client, err := listener.Accept()
		if err != nil {
			return // the test ends
		}
		connections.Go(func() { p.connect(client) })
	}
}

// connect joins a client to the server, until either goes away.
func (p *proxy) connect(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	defer p.forget(client, server)
	if !p.admit(client, server) {
		return
	}
	var requests sync.WaitGroup
	requests.Go(func() {
		defer server.Close()
		_, _ = io.Copy(server, client)
	})
	p.answers(client, server)
	_ = client.Close()
	requests.Wait()
}

func (p *proxy) admit(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return !p.severed
}

func (p *proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.conns, conn)
		delete(p.held, conn)
	}
}

// answers brings what the server sends to the client, a frame of HTTP/2 at a
// time.
func (p *proxy) answers(client net.Conn, server io.Reader) {
	for {
		var head [9]byte
		if _, err := io.ReadFull(server, head[:]); err != nil {
			return
		}
		frame := make([]byte, len(head)+int(head[0])<<16+int(head[1])<<8+int(head[2]))
		copy(frame, head[:])
		if _, err := io.ReadFull(server, frame[len(head):]); err != nil {
			return
		}
		if err := p.answer(client, frame); err != nil {
			return
		}
	}
}

// The frames that answers are made of. What is left only says that the
// connection lives, and how much may be sent through it.
const (
	frameData         = 0
	frameHeaders      = 1
	frameContinuation = 9
)

func (p *proxy) answer(client net.Conn, frame []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if kind := frame[3]; p.holding && (kind == frameData || kind == frameHeaders || kind == frameContinuation) {
		p.held[client] = append(p.held[client], frame...)
		return nil
	}
	_, err := client.Write(frame)
	return err
}
