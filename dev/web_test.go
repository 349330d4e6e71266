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
	b.await(`visible("[data-testid=signal-select]") !== undefined`)
	for range 5 { // whoever picks the line above picks again
		b.click(`visible("[data-testid=signal-select-button]")`)
		b.click(`text("[role=option]", "Approve the pending request")`)
		b.await(`text("[role=option]", "Approve the pending request") === undefined`)
		if b.holds(`visible("[data-testid=signal-select]").value === "approve"`) {
			break
		}
	}
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
	require.Eventually(b.t, func() bool { return b.holds(condition) }, time.Minute, 100*time.Millisecond, condition)
}

// holds reports whether a condition holds; on a page that still loads, which
// lacks much, it does not.
func (b browser) holds(condition string) bool {
	met, err := evaluate[bool](b, condition)
	return err == nil && met
}

// click moves the mouse to an element, once it is there, on top and moves no
// more, and presses.
func (b browser) click(element string) {
	b.t.Helper()
	var at []float64
	still := 0
	require.Eventually(b.t, func() bool {
		now, err := evaluate[[]float64](b, `(e => {
			const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
			return e.contains(document.elementFromPoint(x, y)) ? [x, y] : [];
		})(`+element+`)`)
		if still++; err != nil || len(now) == 0 || !slices.Equal(now, at) {
			still = 0
		}
		at = now
		return still >= 3
	}, time.Minute, 100*time.Millisecond, element)
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
