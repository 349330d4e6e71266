package signals_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"firebreak/signals"
)

func TestCleanFailureHidesSecretsOfURLs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"plain":              {"no space left on device", "no space left on device"},
		"lines":              {"a\nb\r\n\tc\x00d", "a b c d"},
		"credentials":        {`Get "https://key:s3cret@s3.example/bucket": EOF`, `Get "https://s3.example/bucket": EOF`},
		"query":              {`Post "https://hook.example:8443/a/b?sig=s3cret&x=1": EOF`, `Post "https://hook.example:8443/a/b": EOF`},
		"fragment":           {"see https://h.example/a#s3cret.", "see https://h.example/a"},
		"two":                {"https://u:p@a.example then ftp://u@b.example/?q=s3cret", "https://a.example then ftp://b.example/"},
		"an at in the path":  {"https://a.example/@ann?x=s3cret", "https://a.example/@ann"},
		"credentials and at": {"https://u:p%40s3cret@a.example/b", "https://a.example/b"},
		"no URL":             {"ask ann@example.com why? #1", "ask ann@example.com why? #1"},
		"empty":              {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, signals.CleanFailure(c.text))
		})
	}
}

func TestCleanFailureIsBounded(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("x", 1<<20), strings.Repeat("é", 1<<20), strings.Repeat("\xff", 1<<20), "https://" + strings.Repeat("s", 1<<20)} {
		clean := signals.CleanFailure(text)
		require.LessOrEqual(t, len(clean), 300)
		require.True(t, utf8.ValidString(clean))
	}
	long := signals.CleanFailure("store evidence: " + strings.Repeat("a long path/", 100) + "report.md: no space left on device")
	require.LessOrEqual(t, len(long), 300)
	require.True(t, strings.HasPrefix(long, "store evidence: "))
	require.True(t, strings.HasSuffix(long, ": no space left on device"), long)
}

func TestEarlyFailuresAreReportedAndThenEachDoubling(t *testing.T) {
	t.Parallel()
	var reported []int
	for n := 1; n <= 100; n++ {
		if signals.ReportsRetry(n) {
			reported = append(reported, n)
		}
	}
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64}, reported)
}
