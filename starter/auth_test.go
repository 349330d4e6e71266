package starter_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"firebreak/internal/config"
	"firebreak/internal/httpauth"
	"firebreak/internal/incident"
	"firebreak/internal/telemetry"
	"firebreak/starter"
)

// door is a webhook with one source, named it, that routes nothing.
type door struct {
	http.Handler
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func newDoor(t *testing.T, source starter.Source) *door {
	t.Helper()
	router, err := incident.NewRouter(nil)
	require.NoError(t, err)
	source.Name = "it"
	d := &door{registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	d.Handler, err = starter.NewHandler(starter.Config{
		Sources: []starter.Source{source}, Router: router, Temporal: &temporal{}, Quarantine: &quarantine{},
		Metrics: d.registry, Log: slog.New(slog.NewJSONHandler(d.log, nil)),
	})
	require.NoError(t, err)
	return d
}

// knock sends a body to the source, or below it.
func (d *door) knock(t *testing.T, below, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events/it"+below, strings.NewReader(body))
	for _, c := range change {
		c(r)
	}
	recorder := httptest.NewRecorder()
	d.ServeHTTP(recorder, r)
	return recorder
}

// with sets a header, unless it is "".
func with(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

// one and both are the secrets of a source, outside of a rotation and in it.
var (
	one  = []string{"new-s3cret"}
	both = []string{"old-s3cret", "new-s3cret"}
)

func basic(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func TestEachWayToSendASecretLetsInWhoKnowsIt(t *testing.T) {
	t.Parallel()
	authorization := func(value string) func(*http.Request) { return with("Authorization", value) }
	token := func(value string) func(*http.Request) { return with("X-Token", value) }
	nothing := func(*http.Request) {}
	for name, tc := range map[string]struct {
		auth    httpauth.Auth
		secrets []string
		below   string
		change  func(*http.Request)
		want    int
	}{
		"bearer: right":                             {httpauth.Bearer{}, one, "", authorization("Bearer new-s3cret"), 202},
		"bearer: in another case":                   {httpauth.Bearer{}, one, "", authorization("BEARER new-s3cret"), 202},
		"bearer: old, in a rotation":                {httpauth.Bearer{}, both, "", authorization("Bearer old-s3cret"), 202},
		"bearer: new, in a rotation":                {httpauth.Bearer{}, both, "", authorization("Bearer new-s3cret"), 202},
		"bearer: old, after it":                     {httpauth.Bearer{}, one, "", authorization("Bearer old-s3cret"), 401},
		"bearer: wrong":                             {httpauth.Bearer{}, both, "", authorization("Bearer s3cret"), 401},
		"bearer: a part":                            {httpauth.Bearer{}, one, "", authorization("Bearer new-s3cre"), 401},
		"bearer: absent":                            {httpauth.Bearer{}, one, "", nothing, 401},
		"bearer: empty":                             {httpauth.Bearer{}, one, "", authorization("Bearer "), 401},
		"bearer: another scheme":                    {httpauth.Bearer{}, one, "", authorization("Token new-s3cret"), 401},
		"bearer: in the path":                       {httpauth.Bearer{}, one, "/new-s3cret", authorization("Bearer new-s3cret"), 404},
		"basic: right":                              {httpauth.Basic{}, []string{"ann:p:w"}, "", authorization(basic("ann:p:w")), 202},
		"basic: old, in a rotation":                 {httpauth.Basic{}, []string{"ann:old", "bob:new"}, "", authorization(basic("ann:old")), 202},
		"basic: new, in a rotation":                 {httpauth.Basic{}, []string{"ann:old", "bob:new"}, "", authorization(basic("bob:new")), 202},
		"basic: user of one, password of the other": {httpauth.Basic{}, []string{"ann:old", "bob:new"}, "", authorization(basic("ann:new")), 401},
		"basic: old, after it":                      {httpauth.Basic{}, []string{"bob:new"}, "", authorization(basic("ann:old")), 401},
		"basic: wrong password":                     {httpauth.Basic{}, []string{"ann:pw"}, "", authorization(basic("ann:wp")), 401},
		"basic: wrong user":                         {httpauth.Basic{}, []string{"ann:pw"}, "", authorization(basic("bob:pw")), 401},
		"basic: no colon":                           {httpauth.Basic{}, []string{"ann:pw"}, "", authorization(basic("annpw")), 401},
		"basic: not encoded":                        {httpauth.Basic{}, []string{"ann:pw"}, "", authorization("Basic ann:pw"), 401},
		"basic: absent":                             {httpauth.Basic{}, []string{"ann:pw"}, "", nothing, 401},
		"basic: as bearer token":                    {httpauth.Basic{}, []string{"ann:pw"}, "", authorization("Bearer ann:pw"), 401},
		"basic: in the path":                        {httpauth.Basic{}, []string{"ann:pw"}, "/ann:pw", authorization(basic("ann:pw")), 404},
		"header: right":                             {httpauth.Header{Name: "x-token"}, one, "", token("new-s3cret"), 202},
		"header: old, in a rotation":                {httpauth.Header{Name: "X-Token"}, both, "", token("old-s3cret"), 202},
		"header: new, in a rotation":                {httpauth.Header{Name: "X-Token"}, both, "", token("new-s3cret"), 202},
		"header: old, after it":                     {httpauth.Header{Name: "X-Token"}, one, "", token("old-s3cret"), 401},
		"header: wrong":                             {httpauth.Header{Name: "X-Token"}, one, "", token("S3cret"), 401},
		"header: absent":                            {httpauth.Header{Name: "X-Token"}, one, "", nothing, 401},
		"header: another header":                    {httpauth.Header{Name: "X-Token"}, one, "", authorization("new-s3cret"), 401},
		"header: authorization":                     {httpauth.Header{Name: "Authorization"}, []string{"ApiKey x"}, "", authorization("ApiKey x"), 202},
		"header: a second one":                      {httpauth.Header{Name: "X-Token"}, one, "", func(r *http.Request) { r.Header["X-Token"] = []string{"x", one[0]} }, 401},
		"header: in the path":                       {httpauth.Header{Name: "X-Token"}, one, "/x", token("new-s3cret"), 404},
		"path: right":                               {httpauth.Path{}, one, "/new-s3cret", nothing, 202},
		"path: old, in a rotation":                  {httpauth.Path{}, both, "/old-s3cret", nothing, 202},
		"path: new, in a rotation":                  {httpauth.Path{}, both, "/new-s3cret", nothing, 202},
		"path: old, after it":                       {httpauth.Path{}, one, "/old-s3cret", nothing, 401},
		"path: wrong":                               {httpauth.Path{}, one, "/s3cret", nothing, 401},
		"path: absent":                              {httpauth.Path{}, one, "", nothing, 401},
		"path: empty":                               {httpauth.Path{}, one, "/", nothing, 404},
		"path: with more behind it":                 {httpauth.Path{}, one, "/new-s3cret/x", nothing, 404},
		"path: in the query":                        {httpauth.Path{}, one, "?secret=new-s3cret", nothing, 401},
		"path: as a header":                         {httpauth.Path{}, one, "", authorization("Bearer new-s3cret"), 401},
		"bearer by default":                         {nil, one, "", authorization("Bearer new-s3cret"), 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, starter.Source{Auth: tc.auth, Secrets: tc.secrets})
			recorder := d.knock(t, tc.below, "[]", tc.change)
			if tc.want == http.StatusAccepted {
				accepted(t, recorder)
			} else {
				detail := refused(t, recorder, tc.want)
				require.NotContains(t, detail, "s3cret")
				require.Equal(t, tc.want == http.StatusUnauthorized, recorder.Header().Get("WWW-Authenticate") != "")
			}
			require.NotContains(t, d.log.String(), "s3cret")
		})
	}
}

func TestASecretInThePathIsWrittenNowhere(t *testing.T) {
	t.Parallel()
	d := newDoor(t, starter.Source{Auth: httpauth.Path{}, Secrets: one})
	accepted(t, d.knock(t, "/new-s3cret", "[]"))
	require.NotContains(t, d.knock(t, "/new-s3cret", "[").Body.String(), "s3cret")
	require.NotContains(t, d.knock(t, "/typo-s3cret", "[]").Body.String(), "s3cret")
	require.NotContains(t, d.knock(t, "/new-s3cret", "[]", func(r *http.Request) { r.Method = http.MethodGet }).Body.String(), "s3cret")
	metrics := httptest.NewRecorder()
	telemetry.Ops(d.registry, nil).ServeHTTP(metrics, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Contains(t, metrics.Body.String(), `source="it"`)
	require.NotContains(t, metrics.Body.String()+d.log.String(), "s3cret")
}

// sign signs a body as senders do.
func sign(secret, body string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body))
	return mac.Sum(nil)
}

func TestASignatureLetsInTheBodyThatWasSigned(t *testing.T) {
	t.Parallel()
	const body = `[ ]`
	right, old := sign("new-s3cret", body), sign("old-s3cret", body)
	plain := httpauth.Signature{Header: "X-Signature", Encoding: config.EncodingHex}
	hub := httpauth.Signature{Header: "X-Hub-Signature-256", Prefix: "sha256=", Encoding: config.EncodingHex}
	b64 := httpauth.Signature{Header: "X-Signature", Encoding: config.EncodingBase64}
	for name, tc := range map[string]struct {
		auth          httpauth.Signature
		secrets       []string
		body          string
		header, value string
		want          int
	}{
		"right":                       {plain, one, body, "X-Signature", hex.EncodeToString(right), 202},
		"in capitals":                 {plain, one, body, "X-Signature", strings.ToUpper(hex.EncodeToString(right)), 202},
		"with its prefix":             {hub, one, body, "X-Hub-Signature-256", "sha256=" + hex.EncodeToString(right), 202},
		"in base64":                   {b64, one, body, "X-Signature", base64.StdEncoding.EncodeToString(right), 202},
		"in base64 of URLs, unpadded": {b64, one, body, "X-Signature", base64.RawURLEncoding.EncodeToString(right), 202},
		"old, in a rotation":          {plain, both, body, "X-Signature", hex.EncodeToString(old), 202},
		"new, in a rotation":          {plain, both, body, "X-Signature", hex.EncodeToString(right), 202},
		"old, after it":               {plain, one, body, "X-Signature", hex.EncodeToString(old), 401},
		"a tampered body":             {plain, both, `[  ]`, "X-Signature", hex.EncodeToString(right), 401},
		"wrong":                       {plain, both, body, "X-Signature", hex.EncodeToString(sign("x", body)), 401},
		"cut":                         {plain, one, body, "X-Signature", hex.EncodeToString(right)[:62], 401},
		"without its prefix":          {hub, one, body, "X-Hub-Signature-256", hex.EncodeToString(right), 401},
		"another prefix":              {hub, one, body, "X-Hub-Signature-256", "sha1=" + hex.EncodeToString(right), 401},
		"the prefix alone":            {hub, one, body, "X-Hub-Signature-256", "sha256=", 401},
		"in hex where base64 is":      {b64, one, body, "X-Signature", hex.EncodeToString(right), 401},
		"no hex":                      {plain, one, body, "X-Signature", "zz", 401},
		"another header":              {plain, one, body, "X-Hub-Signature-256", hex.EncodeToString(right), 401},
		"the secret itself":           {plain, one, body, "X-Signature", "new-s3cret", 401},
		"absent":                      {plain, one, body, "", "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := newDoor(t, starter.Source{Auth: tc.auth, Secrets: tc.secrets}).knock(t, "", tc.body, with(tc.header, tc.value))
			if tc.want == http.StatusAccepted {
				accepted(t, recorder)
				return
			}
			refused(t, recorder, tc.want)
			require.Equal(t, `Signature realm="firebreak"`, recorder.Header().Get("WWW-Authenticate"))
		})
	}
}

func TestASignatureIsOfTheBodyAsItWasSent(t *testing.T) {
	t.Parallel()
	d := newDoor(t, starter.Source{Auth: httpauth.Signature{Header: "X-Signature"}, Secrets: one})
	body := compress(t, "[]")
	encoded := with("Content-Encoding", "gzip")
	accepted(t, d.knock(t, "", body, encoded, with("X-Signature", hex.EncodeToString(sign(one[0], body)))))
	refused(t, d.knock(t, "", body, encoded, with("X-Signature", hex.EncodeToString(sign(one[0], "[]")))), http.StatusUnauthorized)
	refused(t, d.knock(t, "", "no gzip", encoded, with("X-Signature", hex.EncodeToString(sign(one[0], body)))), http.StatusUnauthorized)
}

func TestABodyWithoutASignatureIsNotRead(t *testing.T) {
	t.Parallel()
	d := newDoor(t, starter.Source{Auth: httpauth.Signature{Header: "X-Signature"}, Secrets: one})
	refused(t, d.knock(t, "", "", func(r *http.Request) { r.Body = unread{t} }), http.StatusUnauthorized)
}

func TestAnAllowListLetsInItsNetworksOnly(t *testing.T) {
	t.Parallel()
	allow := []netip.Prefix{
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("192.0.2.7/32"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fe80::/10"),
	}
	for remote, in := range map[string]bool{
		"203.0.113.9:1234":           true,
		"192.0.2.7:1234":             true,
		"192.0.2.8:1234":             false,
		"[2001:db8::7]:1234":         true,
		"[2001:db9::7]:1234":         false,
		"[::ffff:203.0.113.9]:1234":  true,
		"[::ffff:198.51.100.9]:1234": false,
		"[fe80::7%eth0]:1234":        true,
		"@":                          false,
		"":                           false,
	} {
		from := func(r *http.Request) { r.RemoteAddr = remote }
		forged := with("X-Forwarded-For", "203.0.113.9")
		for name, source := range map[string]starter.Source{
			"open":   {Open: true, Allow: allow},
			"bearer": {Secrets: one, Allow: allow},
		} {
			t.Run(name+" "+remote, func(t *testing.T) {
				t.Parallel()
				d := newDoor(t, source)
				known := with("Authorization", "Bearer new-s3cret")
				recorder := d.knock(t, "", "[]", from, forged, known)
				if in {
					accepted(t, recorder)
					return
				}
				detail := refused(t, recorder, http.StatusUnauthorized)
				require.NotEmpty(t, recorder.Header().Get("WWW-Authenticate"))
				if !source.Open {
					require.Equal(t, refused(t, d.knock(t, "", "[]", from), http.StatusUnauthorized), detail,
						"the answer does not tell that the secret was right")
				}
			})
		}
	}
}

func TestAnAllowListIsNoAuthentication(t *testing.T) {
	t.Parallel()
	d := newDoor(t, starter.Source{Secrets: one, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	refused(t, d.knock(t, "", "[]"), http.StatusUnauthorized)
	accepted(t, d.knock(t, "", "[]", with("Authorization", "Bearer new-s3cret")))
}
