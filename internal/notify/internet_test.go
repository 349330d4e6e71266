package notify_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/certfile/certtest"
)

// request is what a service was asked.
type request struct {
	Method, URL string
	Header      http.Header
	Body        string
}

// internet stands in for the hosts that are fixed in shoutrrr. It is the proxy of
// this process, and holds certificates that this process trusts.
type internet struct {
	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
}

var theInternet = &internet{handlers: map[string]http.HandlerFunc{}}

// hosts are those whose certificates the internet has.
var hosts = []string{"hooks.slack.com", "slack.com", "prod-01.westeurope.logic.azure.com"}

// answer makes the internet answer requests for a URL, and returns where they
// will be. Tests use URLs of their own.
func answer(t *testing.T, url string, status int, body string) <-chan request {
	t.Helper()
	requests := make(chan request, 100)
	theInternet.mu.Lock()
	defer theInternet.mu.Unlock()
	require.NotContains(t, theInternet.handlers, url)
	theInternet.handlers[url] = record(requests, status, body)
	t.Cleanup(func() {
		theInternet.mu.Lock()
		defer theInternet.mu.Unlock()
		delete(theInternet.handlers, url)
	})
	return requests
}

// record answers requests and keeps them.
func record(requests chan<- request, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		requests <- request{r.Method, r.URL.String(), r.Header, string(content)}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// server is a server of the test's own.
func server(t *testing.T, status int, body string) (*httptest.Server, <-chan request) {
	t.Helper()
	requests := make(chan request, 100)
	s := httptest.NewServer(record(requests, status, body))
	t.Cleanup(s.Close)
	return s, requests
}

func (i *internet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	handle := i.handlers["https://"+r.Host+r.URL.Path]
	i.mu.Unlock()
	if handle == nil {
		http.NotFound(w, r)
		return
	}
	handle(w, r)
}

// connect is an HTTP proxy that leads to one server, whatever host is asked for.
func connect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "want CONNECT", http.StatusMethodNotAllowed)
			return
		}
		there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer there.Close()
		w.WriteHeader(http.StatusOK)
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		go func() { _, _ = io.Copy(there, buffered) }()
		_, _ = io.Copy(here, there)
	}
}

// outside is for certtest, before there is a test; it cannot fail.
type outside struct{ testing.TB }

func (outside) Helper() {}

// TestMain sets the proxy and the certificates of this process, which net/http
// reads once.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	authority := certtest.NewAuthority(outside{})
	web := httptest.NewUnstartedServer(theInternet)
	web.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Issue(outside{}, &x509.Certificate{
		DNSNames: hosts, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}).TLS(outside{})}}
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // of a host that it has no certificate of
	web.StartTLS()
	defer web.Close()
	proxy := httptest.NewServer(connect(web.Listener.Addr().String()))
	defer proxy.Close()
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, authority.PEM, 0o600); err != nil {
		log.Fatal(err)
	}
	for name, value := range map[string]string{
		"HTTPS_PROXY": proxy.URL, "SSL_CERT_FILE": roots, "SSL_CERT_DIR": dir, "NO_PROXY": "", "no_proxy": "", "https_proxy": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	return m.Run()
}

// mail is a mail as a server received it.
type mail struct {
	Hello, From string
	To          []string
	Login       string
	// Raw is what stood on the wire, up to the line with a dot.
	Raw string
}

// mailServer takes mail; it refuses recipients with this answer if it is not "".
func mailServer(t *testing.T, refusal string) (address string, mails <-chan mail) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	received := make(chan mail, 100)
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { serveMail(conn, refusal, received) })
		}
	})
	return listener.Addr().String(), received
}

func serveMail(conn net.Conn, refusal string, received chan<- mail) {
	defer conn.Close()
	in := textproto.NewReader(bufio.NewReader(conn))
	say := func(lines ...string) { _, _ = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n") }
	say("220 mail.example.com ESMTP")
	var m mail
	for {
		text, err := in.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(text, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			m.Hello = rest
			say("250-mail.example.com", "250-8BITMIME", "250 AUTH PLAIN")
		case "AUTH":
			login, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			m.Login = string(login)
			say("235 2.7.0 accepted")
		case "MAIL":
			m.From = rest
			say("250 2.1.0 ok")
		case "RCPT":
			if refusal != "" {
				say(refusal)
				continue
			}
			m.To = append(m.To, rest)
			say("250 2.1.5 ok")
		case "DATA":
			say("354 go on")
			var raw strings.Builder
			for {
				// ReadLine would hide what ends a line.
				l, err := in.R.ReadString('\n')
				if err != nil || l == ".\r\n" {
					break
				}
				raw.WriteString(l)
			}
			m.Raw = raw.String()
			received <- m
			m = mail{Hello: m.Hello, Login: m.Login}
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			say(fmt.Sprintf("502 5.5.2 %s?", verb))
		}
	}
}
