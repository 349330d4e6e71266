package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"firebreak/dev/internal/stack"
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
	web := out.await(t, `Temporal Web +(http\S+)`) + "/namespaces/default/workflows"
	page := out.await(t, `in Temporal Web: (\S+)`)
	id := out.await(t, `Incident (\S+)`)
	out.await(t, `Decision wanted: KILL_CONTAINER`)
	other, mild := reportOthers(t, out)
	b := newBrowser(t, chromium)

	// The list, of all incidents and of those that wait, with the columns that a
	// person would choose below it. The browser keeps that choice.
	b.list(web, "", rowOf(id)+` && `+rowOf(other)+` && `+rowOf(mild))
	_, err = evaluate[any](b, `localStorage.setItem("namespace-workflow-table-columns", '`+columns+`')`)
	require.NoError(t, err)
	b.resize(1500, 600)
	b.list(web, `IncidentState="awaiting-approval"`,
		rowOf(id, "awaiting-approval", "KILL_CONTAINER", "Detect crypto miners using the Stratum protocol")+` && `+
			rowOf(other, "awaiting-approval", "CAPTURE", "Suspicious network tool")+` && !`+rowOf(mild))
	b.shoot("list")
	b.resize(1280, 1360) // a laptop's, in which no command may be cut off

	// The incident, with what is asked, until when, and the command.
	b.click(`text("a", "` + id + `")`)
	b.click(`text("a", "User Metadata")`)
	b.await(`frames().some(f => ["Decision wanted: KILL_CONTAINER container", "Deadline: 2", "Parameter container.id:",
		"temporal workflow signal", "-w ` + id + `", '"request":"', "firebreak approve ` + id + `"].every(t => f.includes(t)))`)
	b.await(`codes().length === 2 && codes().every(c => c.clientWidth < 480 && c.scrollWidth <= c.clientWidth)`)
	b.resize(1500, 1360)
	data, err := evaluate[string](b, `codes()[0].innerText.match(/'(.*)'/s)[1].replace(/\n */, "")`)
	require.NoError(t, err)
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
	b.keys(strings.NewReplacer("YOU", "ann", "WHY", "confirmed miner").Replace(data))
	// Leaving the field lays it out anew, which moves the button.
	b.click(`visible("label[for='json/plain'], [id='json/plain']")`)
	b.shoot("signal")
	b.click(`visible("[data-testid=confirm-modal-button]")`)

	out.await(t, `decision  ann       approved KILL_CONTAINER: confirmed miner`)
	out.await(t, `Outcome: contained\.`)
	require.Regexp(t, `In Sysdig: KILL_CONTAINER of container`, out.String())
	b.open(page)
	b.await(`frames().some(f => f.includes("contained at 2") && f.includes("approved KILL_CONTAINER: confirmed miner"))`)
	b.await(`!frames().some(f => f.includes("Decision wanted"))`)
	b.shoot("contained")
	b.list(web, `IncidentState="contained"`, rowOf(id, "contained")+` && !`+rowOf(other)+` && !`+rowOf(mild))
}

// columns are those of the list of incidents, in the words of Temporal Web.
const columns = `{"default":[{"label":"Workflow ID"},{"label":"IncidentState"},{"label":"IncidentPending"},{"label":"IncidentRule"}]}`

// rowOf is whether the list has a row of the incident with these texts.
func rowOf(id string, texts ...string) string {
	quoted, err := json.Marshal(append([]string{id}, texts...))
	if err != nil {
		panic(err)
	}
	return `rows().some(r => ` + string(quoted) + `.every(t => r.includes(t)))`
}

// reportOthers reports two more events, and returns the workflow IDs of their
// incidents: one waits too, and one ends without a decision, for it is too mild
// for its playbook.
func reportOthers(t *testing.T, out *screen) (waits, mild string) {
	t.Helper()
	s := story{stack: &stack.Stack{StarterURL: out.await(t, `webhook +(\S+)/v1/events/`)}, out: io.Discard}
	waits, err := s.report(t.Context(), toolEvent())
	require.NoError(t, err)
	host := demoHosts()[1]
	mild, err = s.report(t.Context(), forwarded(container{id: host.Containers[1], host: host},
		"Detect crypto miners using the Stratum protocol", 6, "a mild one", map[string]string{}))
	require.NoError(t, err)
	return waits, mild
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
const rows = () => Array.from(document.querySelectorAll("tbody tr")).filter(shown).map(r => r.innerText);
const frames = () => Array.from(document.querySelectorAll("iframe")).map(f => f.contentDocument?.body?.innerText ?? "");
const codes = () => Array.from(document.querySelectorAll("iframe")).flatMap(f => Array.from(f.contentDocument?.querySelectorAll("pre") ?? []));
`

func evaluate[T any](b browser, expression string) (T, error) {
	return chromedp.Run(b.ctx, chromedp.Evaluate[T](fmt.Sprintf("(() => {%s return %s;})()", helpers, expression)))
}

func (b browser) open(url string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Navigate(url)))
}

// list opens the list of workflows that a query finds, again and again until it
// shows what is expected: it is a little behind, and does not refresh itself.
func (b browser) list(web, query, condition string) {
	b.t.Helper()
	for range 10 {
		b.open(web + "?query=" + url.QueryEscape(query))
		deadline, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		found := b.within(deadline, condition)
		cancel()
		if found {
			return
		}
	}
	require.FailNow(b.t, "not in the list", condition)
}

// within reports whether a condition comes to hold before a deadline.
func (b browser) within(deadline context.Context, condition string) bool {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for !b.holds(condition) {
		select {
		case <-deadline.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

func (b browser) resize(width, height int64) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)))
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
