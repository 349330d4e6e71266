// Package s3server runs a real S3 server on this machine, to test the evidence
// store against: the Versity S3 Gateway, which keeps objects as ordinary files.
// It is built when it is first needed, from the module dev/s3server. Requests
// reach it through a proxy in this process, which keeps its address while the
// server is killed and started again, and where a test lets things go wrong.
package s3server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// The credentials of the server's only account.
const (
	accessKey = "firebreak-test"
	secretKey = "firebreak-test-secret"
)

// bucket is the only one.
const bucket = "evidence"

// startTimeout is how long the server may take to answer.
const startTimeout = 30 * time.Second

// Server is an S3 server.
type Server struct {
	binary string
	dir    string // of everything it has
	proxy  *httptest.Server
	fault  atomic.Pointer[Fault]

	cmd    *exec.Cmd
	output bytes.Buffer
}

// Fault handles requests in the server's place. next is the server.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Start starts a server with one empty bucket. Stop stops it.
func Start(ctx context.Context) (_ *Server, err error) {
	s := &Server{}
	if s.binary, err = build(ctx); err != nil {
		return nil, err
	}
	// A socket's path must be short, which that of a test's folder may not be.
	if s.dir, err = os.MkdirTemp("", "s3-"); err != nil {
		return nil, fmt.Errorf("start S3 server: %w", err)
	}
	if err := os.MkdirAll(s.Bucket(), 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("start S3 server: %w", err), s.Stop())
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.socket())
		},
		DisableCompression: true, // the headers are signed
	}
	server := &httputil.ReverseProxy{
		// The host stays as it was signed.
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "server" },
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	s.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := s.fault.Load(); f != nil {
			(*f)(w, r, server)
			return
		}
		server.ServeHTTP(w, r)
	}))
	if err := s.Run(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// build builds the server, if it was not before, and returns its path.
func build(ctx context.Context) (string, error) {
	dir, err := run(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}", "firebreak/dev")
	if err != nil {
		return "", fmt.Errorf("find the module of the S3 server: %w", err)
	}
	binary, err := run(ctx, filepath.Join(dir, "s3server"), "go", "tool", "-n", "versitygw")
	if err != nil {
		return "", fmt.Errorf("build S3 server: %w", err)
	}
	return binary, nil
}

// run returns a command's last line of output.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, &stderr)
	}
	return strings.TrimSpace(string(output)), nil
}

// Run starts the server again after Kill.
func (s *Server) Run(ctx context.Context) error {
	s.output.Reset()
	// It does not listen where the socket of a killed one is.
	if err := os.Remove(s.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("start S3 server: %w", err)
	}
	s.cmd = exec.Command(s.binary, "--port", s.socket(), "--health", "/healthy", "--quiet", "posix", filepath.Dir(s.Bucket()))
	s.cmd.Env = []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey}
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start S3 server: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !s.answers(ctx) {
		select {
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("start S3 server: %w\n%s", context.Cause(ctx), &s.output)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func (s *Server) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.proxy.URL+"/healthy", nil)
	if err != nil {
		return false
	}
	resp, err := s.proxy.Client().Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// Kill is kill -9. It returns when the server is gone.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // it was killed
	s.cmd = nil
}

// Stop stops the server and removes what it has.
func (s *Server) Stop() error {
	if s.proxy != nil {
		s.proxy.CloseClientConnections()
		s.proxy.Close()
	}
	s.Kill()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("stop S3 server: %w", err)
	}
	return nil
}

// SetFault lets a fault handle requests from now on; nil is none.
func (s *Server) SetFault(f Fault) {
	if f == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&f)
}

// Bucket is the folder of the bucket, where an object is a file, and what is not
// complete is below ".sgwtmp".
func (s *Server) Bucket() string { return filepath.Join(s.dir, "root", bucket) }

func (s *Server) socket() string { return filepath.Join(s.dir, "socket") }

// EvidenceURL is the URL of the bucket for an evidence store.
func (s *Server) EvidenceURL() string {
	return "s3://" + bucket + "?" + url.Values{"endpoint": {s.proxy.URL}, "use_path_style": {"true"}, "region": {"us-east-1"}}.Encode()
}

// Environ is what a process needs in its environment to use the bucket, and
// nothing else that the machine may have about AWS.
func Environ() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey,
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
}
