package temporalclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
)

// probePatience bounds a probe beside its context: a healthy server takes each of
// its steps at once.
const probePatience = 3 * time.Second

// preface is how a client begins to speak HTTP/2: with a fixed text and an empty
// SETTINGS frame (RFC 9113, section 3.4). A server answers with its own.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// What to set where TLS is spoken on one side only, or a certificate is missing.
const (
	adviceNoTLS = "for a server in plain text set TEMPORAL_TLS=false, and no TEMPORAL_TLS_…; or give the port that speaks TLS in TEMPORAL_ADDRESS"
	adviceTLS   = "set TEMPORAL_TLS=true, and TEMPORAL_TLS_SERVER_CA_CERT_PATH unless a public authority signed its certificate"
	adviceOwn   = "set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH to a certificate, with its key, of an authority that the server knows"
)

// probe connects as gRPC does, step by step, and says which one fails. It is nil
// where none does, or where it cannot know: gRPC may go through a proxy, or find
// the server by other means than DNS.
func probe(ctx context.Context, opts client.Options) *Problem {
	target := strings.TrimPrefix(opts.HostPort, "dns:///")
	host, _, err := net.SplitHostPort(target)
	if err != nil { // as gRPC completes it
		host, target = target, net.JoinHostPort(target, "443")
	}
	if strings.Contains(target, "://") || strings.Contains(target, ":///") || proxied(target) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	conn, err := dial(ctx, target)
	if err != nil {
		return addressProblem(target, err)
	}
	defer conn.Close()
	config := opts.ConnectionOptions.TLS
	if config == nil {
		return plainProblem(ctx, target, conn)
	}
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	if config.ServerName == "" {
		config.ServerName = host
		if authority := opts.ConnectionOptions.Authority; authority != "" {
			config.ServerName, _, _ = strings.Cut(authority, ":")
		}
	}
	secured := tls.Client(conn, config)
	err = secured.HandshakeContext(ctx)
	if err == nil {
		// That a client's certificate is refused is told after the handshake.
		_, err = greet(secured)
	}
	if err == nil {
		return nil
	}
	return handshakeProblem(ctx, target, config, err)
}

// proxied reports whether gRPC goes through a proxy, as the environment has it.
func proxied(target string) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: target}})
	return err != nil || proxy != nil
}

// dial connects; what is then read and written is bounded by the context too.
func dial(ctx context.Context, target string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	return conn, err
}

// greet says hello in HTTP/2 and returns the type of the frame that answers.
func greet(conn net.Conn) (kind byte, err error) {
	if _, err := io.WriteString(conn, preface); err != nil {
		return 0, err
	}
	var frame [9]byte // its head
	_, err = io.ReadFull(conn, frame[:])
	return frame[3], err
}

// settings is the type of HTTP/2's SETTINGS frame.
const settings = 4

func addressProblem(target string, err error) *Problem {
	p := &Problem{Cause: CauseAddress, Advice: "set TEMPORAL_ADDRESS to the host and port of Temporal's frontend, like temporal.example.com:7233"}
	var unknown *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &unknown) && !unknown.IsTimeout:
		p.Detail = fmt.Sprintf("the host name %q is not known (%s)", unknown.Name, unknown.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		p.Detail = "connection refused: nothing listens at " + target
		p.Advice = "is the Temporal server running? If it is elsewhere, set TEMPORAL_ADDRESS"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		p.Detail = fmt.Sprintf("no answer from %s in time", target)
		p.Advice = "a firewall may be in the way; if Temporal is elsewhere, set TEMPORAL_ADDRESS"
	default:
		p.Detail = err.Error()
	}
	return p
}

// plainProblem is what is wrong where plain text was to be spoken.
func plainProblem(ctx context.Context, target string, conn net.Conn) *Problem {
	kind, err := greet(conn)
	if err == nil && kind == settings {
		return nil
	}
	if speaksTLS(ctx, target) {
		return &Problem{Cause: CauseCertificate, Detail: "the server speaks TLS, and this side plain text", Advice: adviceTLS}
	}
	return notTemporal(target, err)
}

// notTemporal is about something that accepts connections and is no gRPC server.
func notTemporal(target string, err error) *Problem {
	detail := "what listens at " + target + " is no gRPC server"
	if err != nil {
		detail += fmt.Sprintf(" (%s)", err)
	}
	return &Problem{Cause: CauseAddress, Detail: detail, Advice: "set TEMPORAL_ADDRESS to Temporal's frontend, whose port is 7233 as a rule"}
}

// speaksTLS reports whether a server answers a handshake, whoever it is.
func speaksTLS(ctx context.Context, target string) bool {
	conn, err := dial(ctx, target)
	if err != nil {
		return false
	}
	defer conn.Close()
	answered := false
	_ = tls.Client(conn, &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"h2"}, // nothing is sent but the greeting
		VerifyConnection: func(tls.ConnectionState) error { answered = true; return nil },
	}).HandshakeContext(ctx)
	return answered
}

// speaksPlain reports whether a server answers in plain HTTP/2.
func speaksPlain(ctx context.Context, target string) bool {
	conn, err := dial(ctx, target)
	if err != nil {
		return false
	}
	defer conn.Close()
	kind, err := greet(conn)
	return err == nil && kind == settings
}

// handshakeProblem is what is wrong where TLS could not be spoken.
func handshakeProblem(ctx context.Context, target string, config *tls.Config, err error) *Problem {
	p := &Problem{Cause: CauseCertificate}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert *net.OpError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name):
		p.Detail = fmt.Sprintf("the server's certificate is for %s, not for %q", namesOf(name.Certificate), name.Host)
		p.Advice = "set TEMPORAL_TLS_SERVER_NAME to a name in it, or TEMPORAL_ADDRESS to where that name leads"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		p.Detail = fmt.Sprintf("the server's certificate is valid from %s to %s", stamp(invalid.Cert.NotBefore), stamp(invalid.Cert.NotAfter))
		p.Advice = "renew it on the server, or set this machine's clock: it is " + stamp(time.Now())
	case errors.As(err, &authority):
		p.Detail = "the server's certificate is signed by an authority that is not trusted here" + issuerOf(authority.Cert)
		p.Advice = "set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the PEM file of that authority"
	case errors.As(err, &alert) && alert.Op == "remote error":
		return alertProblem(config, alert.Err.Error())
	case errors.As(err, &record), speaksPlain(ctx, target):
		p.Detail, p.Advice = "the server speaks plain text, and this side TLS", adviceNoTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return notTemporal(target, err)
	default:
		p.Detail, p.Advice = err.Error(), "look at the settings TEMPORAL_TLS_…"
	}
	return p
}

// alertProblem is about an alert of the server's, all of which are about this
// side. crypto/tls gives them as texts only.
func alertProblem(config *tls.Config, alert string) *Problem {
	p := &Problem{Cause: CauseCertificate, Detail: "the server refuses this side's certificate (" + alert + ")", Advice: adviceOwn}
	own := len(config.Certificates) > 0 || config.GetClientCertificate != nil
	switch {
	case !strings.Contains(alert, "certificate"):
		p.Detail, p.Advice = "the server refuses to speak TLS ("+alert+")", "look at the settings TEMPORAL_TLS_…"
	case !own:
		p.Detail = "the server wants a client certificate, and there is none (" + alert + ")"
	case strings.Contains(alert, "expired"):
		p.Detail = "this side's certificate has expired"
		p.Advice = "renew what TEMPORAL_TLS_CLIENT_CERT_PATH names: its file is read anew"
	}
	return p
}

// namesOf are the names that a certificate is for.
func namesOf(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return cmp.Or(strings.Join(names, ", "), "nobody by name")
}

func issuerOf(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf(" (%s)", c.Issuer)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
