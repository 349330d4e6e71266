package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestAnAnalystApprovesInTemporalWeb presses the buttons that a person would
// press, in a real browser. With FIREBREAK_SCREENSHOTS set to a folder it keeps
// pictures there.
func TestAnAnalystApprovesInTemporalWeb(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath(cmp.Or(os.Getenv("CHROMIUM"), "chromium"))
	if err != nil {
		t.Skip("no chromium: install it, or name it in CHROMIUM")
	}
	out, _ := startDemo(t, t.TempDir(), false)
	page := out.await(t, `in Temporal Web: (\S+)`)
	out.await(t, `Decision wanted: KILL_CONTAINER`)
	b := newBrowser(t, chromium)

	b.open(page)
	b.await(`frames().some(f => f.includes("Decision wanted: KILL") && f.includes("temporal workflow signal"))`)
	b.shoot("incident")
	b.click(`text("button", "More Actions")`)
	b.click(`text("[data-testid=signal-button]", "Send a Signal")`)
	b.click(`visible("[data-testid=signal-select-button]")`)
	b.await(`text("[role=option]", "Approve the pending request") !== undefined`)
	b.click(`text("[role=option]", "Approve the pending request")`)
	b.click(`visible("form .cm-content")`)
	b.await(`visible("[data-testid=signal-select]").value === "approve"`)
	b.await(`document.activeElement === visible("form .cm-content")`)
	b.keys(`{"analyst":"ann","reason":"confirmed miner"}`)
	// Leaving the field lays it out anew, which moves the button.
	b.click(`visible("label[for='json/plain'], [id='json/plain']")`)
	b.shoot("signal")
	b.click(`visible("[data-testid=confirm-modal-button]")`)

	out.await(t, `decision  ann       approved KILL_CONTAINER: confirmed miner`)
	out.await(t, `Outcome: contained\.`)
	require.Regexp(t, `In Sysdig: KILL_CONTAINER of container`, out.String())
	b.open(page)
	b.await(`frames().some(f => f.includes("contained") && f.includes("confirmed miner"))`)
	b.shoot("contained")
}

// browser is a headless Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps its browser there
}

func newBrowser(t *testing.T, chromium string) browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.WindowSize(1500, 1500),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	return browser{t: t, ctx: ctx}
}

// helpers are functions for expressions in the page. Temporal Web renders each
// control twice, for narrow and for wide windows: only one is visible. It
// renders Markdown in frames.
const helpers = `
const shown = e => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0; };
const visible = s => Array.from(document.querySelectorAll(s)).find(shown);
const text = (s, t) => Array.from(document.querySelectorAll(s)).find(e => shown(e) && e.innerText.includes(t));
const frames = () => Array.from(document.querySelectorAll("iframe")).map(f => f.contentDocument?.body?.innerText ?? "");
`

func evaluate[T any](b browser, expression string) (T, error) {
	return chromedp.Run(b.ctx, chromedp.Evaluate[T](fmt.Sprintf("(() => {%s return %s;})()", helpers, expression)))
}

func (b browser) open(url string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Navigate(url)))
}

func (b browser) await(condition string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		met, err := evaluate[bool](b, condition)
		return err == nil && met // a page that still loads lacks much
	}, time.Minute, 100*time.Millisecond, condition)
}

// click moves the mouse to an element, once it is there and moves no more, and
// presses.
func (b browser) click(element string) {
	b.t.Helper()
	var at []float64
	require.Eventually(b.t, func() bool {
		now, err := evaluate[[]float64](b, `(r => [r.x + r.width / 2, r.y + r.height / 2])(`+element+`.getBoundingClientRect())`)
		still := err == nil && slices.Equal(now, at)
		at = now
		return still
	}, time.Minute, 200*time.Millisecond, element)
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.MouseClickXY(at[0], at[1])))
}

func (b browser) keys(text string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.KeyEvent(text)))
}

// shoot keeps a picture of the window, if somebody wants them.
func (b browser) shoot(name string) {
	b.t.Helper()
	folder := os.Getenv("FIREBREAK_SCREENSHOTS")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644))
}
