package certfile_test

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"firebreak/internal/certfile"
	"firebreak/internal/certfile/certtest"
)

func TestACertificateIsReadAnewWhenItsFilesChange(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	authority := certtest.NewAuthority(t)
	first, second := authority.Server(t), authority.Server(t)
	cert, key := first.Write(t)
	pair, err := certfile.NewPair(cert, key, slog.New(slog.NewTextHandler(&text, nil)))
	require.NoError(t, err)
	current := func() []byte {
		c, err := pair.Certificate(nil)
		require.NoError(t, err)
		return c.Certificate[0]
	}
	require.Equal(t, first.TLS(t).Certificate[0], current())

	certtest.Replace(t, cert, second.Cert)
	require.Equal(t, first.TLS(t).Certificate[0], current(), "a certificate without its key is not used")
	require.Equal(t, first.TLS(t).Certificate[0], current())
	require.Equal(t, 1, strings.Count(text.String(), "cannot be used"), "and is told once")
	certtest.Replace(t, key, second.Key)
	require.Equal(t, second.TLS(t).Certificate[0], current())
	require.NoError(t, os.Remove(cert))
	require.Equal(t, second.TLS(t).Certificate[0], current(), "what is gone stays in use")
	require.Contains(t, text.String(), "no such file")
	require.NotContains(t, text.String(), "PRIVATE KEY")
}

func TestAuthoritiesAreReadAnewWhenTheirFileChanges(t *testing.T) {
	t.Parallel()
	first, second := certtest.NewAuthority(t), certtest.NewAuthority(t)
	path := certtest.WriteFile(t, "ca.pem", first.PEM)
	pool, err := certfile.NewPool(path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	want := func(pem ...[]byte) *x509.CertPool {
		p := x509.NewCertPool()
		for _, c := range pem {
			require.True(t, p.AppendCertsFromPEM(c))
		}
		return p
	}
	require.True(t, want(first.PEM).Equal(pool.Authorities()))
	certtest.Replace(t, path, append(bytes.Clone(first.PEM), second.PEM...))
	require.True(t, want(first.PEM, second.PEM).Equal(pool.Authorities()))
	certtest.Replace(t, path, []byte("half written"))
	require.True(t, want(first.PEM, second.PEM).Equal(pool.Authorities()))
	certtest.Replace(t, path, second.PEM)
	require.True(t, want(second.PEM).Equal(pool.Authorities()))
}

func TestFilesThatCannotBeReadAreRefusedByName(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	cert, key := certtest.NewAuthority(t).Server(t).Write(t)
	none := certtest.WriteFile(t, "none.pem", []byte("none"))
	_, err := certfile.NewPair(cert, none, log)
	require.ErrorContains(t, err, "read certificate "+cert+" with key "+none+": ")
	_, err = certfile.NewPair("nowhere.pem", key, log)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = certfile.NewPool(none, log)
	require.ErrorContains(t, err, "read authorities "+none+": no certificate is in it; want PEM")
	_, err = certfile.NewPool("nowhere.pem", log)
	require.ErrorIs(t, err, os.ErrNotExist)
}
