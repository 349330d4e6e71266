package signals_test

import (
	"strings"
	"testing"
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
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, signals.EscapeMarkdown(tc.in))
		})
	}
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
