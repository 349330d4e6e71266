// Package sysdig is the client of the Sysdig Secure API, as far as incident
// response needs it: response actions, system captures, connected agents, the
// token's owner.
//
// One call is one request, except for a download, which is taken up again where it
// broke off, and for the [Directory], which answers from memory. The client never
// retries, polls or logs otherwise: its caller decides that, and
// [MayHaveTakenEffect] reports whether a failed request may have done its work all
// the same. All requests of a client keep to the rate limit that Sysdig announces.
// The API token leaves this package in the Authorization header only: never in a
// URL, an error or after a redirect.
//
// What the package assumes about the API comes from Sysdig's public OpenAPI
// description, from the Cortex XSOAR pack "Sysdig Response Actions" and from
// sysdig-sdk-python; each method says which. Answers are read tolerantly, for
// those sources differ from one another.
package sysdig

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says where Sysdig Secure is and who calls it.
type Config struct {
	// AppURL is the base URL of the application host, which serves captures,
	// agents and users: for example https://us2.app.sysdig.com.
	AppURL string
	// APIURL is the base URL of the API host, which serves response actions:
	// for example https://api.us2.sysdig.com.
	APIURL string
	// Token is the API token of a user or a service account.
	Token string
	// UserAgent identifies the caller. Default: "firebreak".
	UserAgent string
	// Observe is told of every request when it has ended; nil tells nobody. It must
	// be safe for concurrent use.
	Observe func(Exchange) `json:"-"`
	// Transport carries the requests; nil opens connections of the client's own.
	Transport http.RoundTripper `json:"-"`
}

// Client calls the Sysdig Secure API. It is safe for concurrent use.
type Client struct {
	app, api  string // without a trailing slash
	token     string
	userAgent string
	observer  func(Exchange)
	http      *http.Client
	bucket    *bucket
	directory *Directory
	// resumePause is the time before a download that broke off is taken up again.
	resumePause time.Duration
	permissions permissionCache
}

// NewClient checks the configuration and returns a client with connections of
// its own. It does not call Sysdig. All problems are reported together.
func NewClient(cfg Config) (*Client, error) {
	app, appErr := baseURL("AppURL", cfg.AppURL)
	api, apiErr := baseURL("APIURL", cfg.APIURL)
	if err := errors.Join(appErr, apiErr, checkToken(cfg.Token)); err != nil {
		return nil, fmt.Errorf("sysdig client: %w", err)
	}
	transport := cfg.Transport
	if transport == nil {
		transport = newTransport()
	}
	c := &Client{
		app:         app,
		api:         api,
		token:       cfg.Token,
		userAgent:   cmp.Or(cfg.UserAgent, "firebreak"),
		observer:    cfg.Observe,
		resumePause: defaultResumePause,
		permissions: permissionCache{turn: make(chan struct{}, 1)},
		http: &http.Client{
			Transport: transport,
			// A redirect is an answer like any other, and refused as an error: to
			// follow it could carry the token to another host, or send an action
			// a second time.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	c.bucket = newBucket()
	c.directory = newDirectory(c)
	return c, nil
}

// newTransport bounds every phase of a request that can hang before the body;
// the body itself is bounded by the call.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		// Actions are only queued by the request that submits them, so a slow
		// answer is a sick server, not a long job.
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		// A storm of incidents talks to two hosts only.
		MaxIdleConnsPerHost: 32,
	}
}

// baseURL checks a base URL and drops its trailing slash. The errors show no
// more of the URL than is safe: a password in it stays hidden.
func baseURL(field, raw string) (string, error) {
	const want = "want an http or https URL like https://us2.app.sysdig.com"
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "", fmt.Errorf("%s is empty: %s", field, want)
	case err != nil:
		return "", fmt.Errorf("%s cannot be parsed: %s", field, want)
	case u.User != nil:
		return "", fmt.Errorf("%s %q holds a user or password: %s", field, u.Redacted(), want)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", fmt.Errorf("%s %q: %s", field, raw, want)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("%s has a query or a fragment: %s", field, want)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// checkToken refuses tokens that cannot be sent in a header, in words that do
// not show them.
func checkToken(token string) error {
	if token == "" {
		return errors.New("the token is empty: want the API token of a Sysdig user or service account")
	}
	notPrintable := func(r rune) bool { return r <= ' ' || r > '~' }
	if strings.ContainsFunc(token, notPrintable) {
		return errors.New("the token holds a space, a line break or a character outside ASCII: want it as Sysdig shows it")
	}
	return nil
}
