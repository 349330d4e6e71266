package main

import (
	"fmt"
	"testing"

	"github.com/gomarkdown/markdown/ast"
	"github.com/gomarkdown/markdown/parser"
	"github.com/stretchr/testify/require"

	"firebreak/internal/report"
	"firebreak/internal/report/reporttest"
	"firebreak/signals"
)

// outline is what a text draws with the parser and the extensions of Temporal
// Web: its blocks, links, HTML and emphasis, without the texts in them.
func outline(page string) []string {
	var kinds []string
	document := parser.NewWithExtensions(parser.CommonExtensions | parser.AutoHeadingIDs).Parse([]byte(page))
	ast.WalkFunc(document, func(n ast.Node, entering bool) ast.WalkStatus {
		switch n.(type) {
		case *ast.Text, *ast.Code:
			// A value is set as code only where nothing in it could end the code.
		default:
			if entering {
				kinds = append(kinds, fmt.Sprintf("%T", n))
			}
		}
		return ast.GoToNext
	})
	return kinds
}

func TestNoTextFromOutsideDrawsAnythingInTemporalWeb(t *testing.T) {
	t.Parallel()
	for _, state := range []signals.State{signals.AwaitingApproval, signals.NeedsFields} {
		for _, outcome := range []signals.State{"", signals.Contained} {
			details := func(text string) string {
				page, asked := reporttest.Fill(text)
				page.State, page.Outcome = state, outcome
				return report.Details(page, asked, text)
			}
			plain := details("x")
			require.Contains(t, outline(plain), "*ast.ListItem")
			for name, hostile := range reporttest.Hostile() {
				t.Run(fmt.Sprint(name, " ", state, " ", outcome), func(t *testing.T) {
					t.Parallel()
					require.Equal(t, outline(plain), outline(details(hostile)), details(hostile))
				})
			}
		}
	}
}
