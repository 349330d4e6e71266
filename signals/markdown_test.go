package signals_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"firebreak/signals"
)

func TestEscapeMarkdownRendersTextAsItIs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"a plain name stays readable":     {"web-1.prod (eu)", "web-1.prod (eu)"},
		"code":                            {"`rm`", "\\`rm\\`"},
		"link":                            {"[Approve](javascript:x)", `\[Approve\](javascript:x)`},
		"image":                           {"![x](y)", `\!\[x\](y)`},
		"bare address":                    {"curl http://evil", `curl http\://evil`},
		"HTML":                            {"<b>ok</b>", `\<b\>ok\</b\>`},
		"entity":                          {"&lt;b&gt;", `\&lt;b\&gt;`},
		"table":                           {"a|b", `a\|b`},
		"emphasis":                        {"**Approved** __by__ ~ann~", `\*\*Approved\*\* \_\_by\_\_ \~ann\~`},
		"heading":                         {"# Approved", `\# Approved`},
		"a new line cannot start a block": {"x\r\n# Approved by ann", `x  \# Approved by ann`},
		"Unicode line separator":          {"x\u2028# y", `x \# y`},
		"list":                            {"- x", `\- x`},
		"list after a control character":  {"\t- x", ` \- x`},
		"ordered list":                    {"12. x", `12\. x`},
		"a version is no list":            {"v1.2", "v1.2"},
		"placeholder":                     {"{workflowId}", `\{workflowId\}`},
		"backslash":                       {`\*`, `\\\*`},
		"control characters":              {"a\x00b\x1bc\x7fd", "a b c d"},
		"reversed writing":                {"a\u202Eb", "a\uFFFDb"},
		"invalid UTF-8":                   {"a\xffb", "a\uFFFDb"},
		"an address without a scheme":     {"see WWW.evil.com", `see WWW\.evil.com`},
		"an address of mail":              {"MAILTO:ann", `MAILTO\:ann`},
		"a person's address":              {"ann@example.com v1.2", `ann@example\.com v1.2`},
		"an option is no dash":            {"nmap --script x", `nmap -\-script x`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, signals.EscapeMarkdown(tc.in))
		})
	}
}

// TestEveryCharacterIsEscapedWhereUnicodeSaysSo compares what is told by
// comparisons with Unicode's own tables.
func TestEveryCharacterIsEscapedWhereUnicodeSaysSo(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		want := "x" + string(r)
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			want = "x "
		case unicode.Is(unicode.Bidi_Control, r):
			want = "x\uFFFD"
		case strings.ContainsRune("\\`*_[]{}<>|#~!&$", r):
			want = `x\` + string(r)
		}
		if got := signals.EscapeMarkdown("x" + string(r)); got != want {
			require.Equal(t, want, got, "%U", r)
		}
	}
}

func TestATextWithNothingToEscapeIsReturnedAsItIs(t *testing.T) {
	const text = "web-1.prod (eu), äöü, docker.io/example/web:1.3 ann@example"
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = signals.EscapeMarkdown(text) }))
	require.Equal(t, text, signals.EscapeMarkdown(text))
}

func FuzzEscapeMarkdownIsOneSafeLine(f *testing.F) {
	for _, s := range []string{"", "a\nb", "`x`", "\\", "<", "\xff", "\u202e", "1)", " - "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := signals.EscapeMarkdown(s)
		require.True(t, utf8.ValidString(out))
		require.False(t, strings.ContainsAny(out, "\n\r\v\f\u0085\u2028\u2029"))
		for i := 0; i < len(out); i++ {
			if out[i] == '\\' {
				i++ // the escape and what it escapes
				require.Less(t, i, len(out), "a lone backslash would escape what follows")
				continue
			}
			require.NotContains(t, "`*_[]{}<>|#~!&$", string(out[i]))
		}
	})
}

func BenchmarkEscapeMarkdown(b *testing.B) {
	for name, text := range map[string]string{
		"plain":   "crypto-miner on node-1, docker.io/example/web",
		"command": "xmrig -o stratum+tcp://pool.example.com:3333 --user-agent=[x] {y}",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = signals.EscapeMarkdown(text)
			}
		})
	}
}
