package report_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"firebreak/internal/report"
	"firebreak/internal/report/reporttest"
	"firebreak/signals"
)

// outline is what a text draws, as GitHub reads Markdown: its blocks, links,
// HTML and emphasis, without the texts in them.
func outline(page string) []string {
	markdown := goldmark.New(
		goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList),
		goldmark.WithParserOptions(parser.WithAttribute()))
	var kinds []string
	_ = ast.Walk(markdown.Parser().Parse(text.NewReader([]byte(page))), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		// A value is set as code only where nothing in it could end the code.
		if entering && n.Kind() != ast.KindText && n.Kind() != ast.KindCodeSpan {
			kinds = append(kinds, n.Kind().String())
		}
		return ast.WalkContinue, nil
	})
	return kinds
}

// pages are all pages of an incident, by the state in which it has them.
func pages(page *signals.Page, asked report.Asked) map[string]string {
	open, missing, closed := *page, *page, *page
	open.State = signals.AwaitingApproval
	missing.State = signals.NeedsFields
	closed.Outcome = signals.Contained
	for _, kind := range []signals.Kind{signals.KindDecision, signals.KindOutcome} {
		closed.WarRoom = append(slices.Clone(closed.WarRoom), signals.Entry{
			Kind: kind, Actor: page.WarRoom[0].Actor, Text: page.WarRoom[0].Text, Time: page.WarRoom[0].Time,
		})
	}
	return map[string]string{
		"waiting":      report.Details(&open, asked, page.WorkflowID),
		"needs fields": report.Details(&missing, asked, page.WorkflowID),
		"closed":       report.Details(&closed, asked, page.WorkflowID),
		"report":       report.Report(&closed),
	}
}

func TestNoTextFromOutsideDrawsAnything(t *testing.T) {
	t.Parallel()
	plain := pages(reporttest.Fill("x"))
	for name, hostile := range reporttest.Hostile() {
		for state, page := range pages(reporttest.Fill(hostile)) {
			t.Run(name+" "+state, func(t *testing.T) {
				t.Parallel()
				require.Equal(t, outline(plain[state]), outline(page), page)
				for _, forbidden := range []string{"{workflowId}", "{runId}", "{namespace}", "\r", "\x00", "\u202e", "\u2028"} {
					require.NotContains(t, page, forbidden)
				}
			})
		}
	}
}

func TestNoTextFromOutsideDrawsAnythingOnThePageOfTheGuard(t *testing.T) {
	t.Parallel()
	draw := func(text string) string { return report.GuardDetails(spent(frozenGuard(text, text), text), text) }
	plain := outline(draw("x"))
	for name, hostile := range reporttest.Hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := draw(hostile)
			require.Equal(t, plain, outline(page), page)
			for _, forbidden := range []string{"{workflowId}", "{runId}", "{namespace}", "\r", "\x00", "\u202e", "\u2028"} {
				require.NotContains(t, page, forbidden)
			}
		})
	}
}

func TestAPageStaysSmallWhateverItIsFilledWith(t *testing.T) {
	t.Parallel()
	for name, hostile := range reporttest.Hostile() {
		for _, times := range []int{1, 3, 10, 1000} {
			page, asked := reporttest.Fill(strings.Repeat(hostile, times))
			page.WorkflowID = strings.Repeat("x", 1000) // the longest that Temporal takes
			page.Pending.ID = page.Pending.ID[:min(len(page.Pending.ID), 64)]
			for range 8 {
				page.WarRoom = append(page.WarRoom, page.WarRoom...)
				page.Evidence = append(page.Evidence, page.Evidence...)
				page.Pending.Have = append(page.Pending.Have, page.Pending.Have...)
				asked.Who, asked.Analysts = append(asked.Who, asked.Who...), append(asked.Analysts, asked.Analysts...)
				asked.Escalated = append(asked.Escalated, asked.Escalated...)
				page.Incident.Actions = append(page.Incident.Actions, page.Incident.Actions...)
				page.Pending.Parameters[strings.Repeat(hostile, len(page.Pending.Parameters))] = strings.Repeat(hostile, times)
			}
			for _, state := range signals.States() {
				page.State = state
				for _, outcome := range []signals.State{"", signals.Contained} {
					page.Outcome = outcome
					got := report.Details(page, asked, "soc")
					require.LessOrEqual(t, len(got), report.MaxDetails, name)
					require.Contains(t, got, "earlier entries are not shown")
				}
			}
		}
	}
}
