package sysdig

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxFruitless is how often in a row a download is taken up again without
	// one more byte.
	maxFruitless = 4
	// defaultResumePause is the time before a download is taken up again; it
	// doubles each time that this has brought nothing.
	defaultResumePause = 500 * time.Millisecond
	// maxPause is the longest that a server can make it.
	maxPause = 30 * time.Second
)

// errStalled breaks a connection that nothing comes from.
var errStalled = errors.New("the download stands still")

// DownloadCapture streams a capture's file (GET /api/v1/captures/{id}/download,
// the Cortex XSOAR pack, or where that is closed the path of sysdig-sdk-python). The
// caller closes the body; ctx bounds the whole download.
//
// A body that breaks off, or of which nothing comes for as long as stall, is
// taken up again where it ended, with a request for the rest (Range, RFC 9110,
// section 14; neither source says whether Sysdig offers it). What is read is one
// file or an error: where the server answers with anything but the rest of the
// same file, as told by its size and its ETag or Last-Modified, or gave none of
// these, the body ends in the error that broke it off, and so it does when
// nothing more has come for some attempts in a row.
func (c *Client) DownloadCapture(ctx context.Context, id int64, stall time.Duration) (*Download, error) {
	d := &Download{ctx: ctx, client: c, base: c.app, path: capturePath(capturesPath, id) + "/download", stall: stall}
	err := d.begin()
	if closed(err) {
		d.path, d.query = capturePath(legacyCapturesPath, id)+"/download", url.Values{"_product": {"SDS"}}
		err = either(err, d.begin())
	}
	if err != nil {
		return nil, fmt.Errorf("download capture %d: %w", id, err)
	}
	return d, nil
}

// AcquiredFile streams the file that an execution of FILE_ACQUIRE has fetched
// from its host (GET …/acquired-file, Sysdig's public OpenAPI); other actions
// that yield a file may offer it here too. It is read as a capture's is, see
// [Client.DownloadCapture].
func (c *Client) AcquiredFile(ctx context.Context, executionID string, stall time.Duration) (*Download, error) {
	path, err := executionPath(executionID)
	if err != nil {
		return nil, fmt.Errorf("download acquired file: %w", err)
	}
	d := &Download{ctx: ctx, client: c, base: c.api, path: path + "/acquired-file", stall: stall}
	if err := d.begin(); err != nil {
		return nil, fmt.Errorf("download the file of execution %s: %w", executionID, err)
	}
	return d, nil
}

// Download is a body that survives broken connections.
type Download struct {
	ctx    context.Context
	client *Client
	base   string // Client.app or Client.api
	path   string
	query  url.Values
	stall  time.Duration

	// size is -1 if the server did not say; etag and modified are its validators,
	// empty likewise.
	size           int64
	etag, modified string
	// digest is the SHA-256 that the server has announced, in hex, "" if none.
	digest string

	// offset is how much was read.
	offset int64
	// body is that of the connection at hand, which cut breaks, and timer does.
	body  io.ReadCloser
	cut   context.CancelFunc
	timer *time.Timer
	// stalled says that timer did.
	stalled atomic.Bool
	// broken is why the connection at hand gives nothing more.
	broken error
	// fruitless counts the attempts to take it up again since the last byte.
	fruitless int
}

// Read reads on, over as many connections as it takes.
func (d *Download) Read(p []byte) (int, error) {
	for {
		for d.broken != nil {
			if err := d.resume(); err != nil {
				return 0, err
			}
		}
		d.timer.Reset(d.stall)
		n, err := d.body.Read(p)
		d.timer.Stop()
		if n > 0 {
			d.offset, d.fruitless = d.offset+int64(n), 0
		}
		switch {
		case d.size >= 0 && d.offset > d.size:
			return 0, fmt.Errorf("the download is longer than the %d bytes announced", d.size)
		case err == io.EOF && d.offset >= d.size: //nolint:errorlint // Read's contract is io.EOF itself
			return n, io.EOF
		case err == io.EOF: //nolint:errorlint // likewise
			err = io.ErrUnexpectedEOF
		case d.stalled.Load():
			err = errStalled
		}
		d.broken = err
		if n > 0 || err == nil {
			return n, nil
		}
	}
}

// Size is what the server has announced of the file's size, -1 if nothing.
func (d *Download) Size() int64 { return d.size }

// SHA256 is what the server has announced of the file's digest, in hex, "" if
// nothing.
func (d *Download) SHA256() string { return d.digest }

// Close ends the download.
func (d *Download) Close() error {
	d.timer.Stop()
	d.cut()
	return d.body.Close()
}

// begin asks for the file.
func (d *Download) begin() error {
	resp, err := d.request(nil)
	if err != nil {
		return err
	}
	d.size, d.etag, d.modified = resp.ContentLength, resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	d.digest = announcedSHA256(resp.Header)
	return nil
}

// announcedSHA256 reads the digest of a whole file: Repr-Digest and Content-Digest
// (RFC 9530), Digest (RFC 3230), or S3's header. It returns hex, or "" without a digest.
func announcedSHA256(h http.Header) string {
	values := []string{"sha-256=" + h.Get("X-Amz-Checksum-Sha256")}
	for _, name := range []string{"Repr-Digest", "Content-Digest", "Digest"} {
		values = append(values, strings.Split(strings.Join(h.Values(name), ","), ",")...)
	}
	for _, value := range values {
		algorithm, encoded, _ := strings.Cut(strings.TrimSpace(value), "=")
		sum, err := base64.StdEncoding.DecodeString(strings.Trim(encoded, ":"))
		if strings.EqualFold(algorithm, "sha-256") && err == nil && len(sum) == sha256.Size {
			return hex.EncodeToString(sum)
		}
	}
	return ""
}

// request opens a connection for the body. Its context is its own, so that it
// can be cut without the download.
func (d *Download) request(header http.Header) (*http.Response, error) {
	ctx, cut := context.WithCancel(d.ctx)
	resp, err := d.client.send(ctx, request{method: http.MethodGet, base: d.base, path: d.path, query: d.query, download: true, header: header})
	if err != nil {
		cut()
		return nil, err
	}
	d.stalled.Store(false)
	d.body, d.cut = resp.Body, cut
	d.timer = time.AfterFunc(d.stall, func() {
		d.stalled.Store(true)
		cut()
	})
	d.timer.Stop() // until something is read
	return resp, nil
}

// resume tries once to take up the download that has broken off. An error is
// final.
func (d *Download) resume() error {
	_ = d.Close()
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	cause := d.broken
	if d.fruitless == maxFruitless {
		return fmt.Errorf("%w, and nothing more has come in %d attempts", cause, maxFruitless)
	}
	pause := d.client.resumePause << d.fruitless
	if answer, ok := errors.AsType[*Error](cause); ok {
		pause = max(pause, answer.RetryAfter)
	}
	if pause > maxPause {
		return cause
	}
	select {
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	case <-time.After(pause):
	}
	d.fruitless++
	if d.offset == 0 {
		d.broken = d.begin()
	} else if err := d.rest(); err != nil {
		d.broken = fmt.Errorf("continue at byte %d: %w", d.offset, err)
	} else {
		d.broken = nil
	}
	if _, different := errors.AsType[changedError](d.broken); different || refused(d.broken) {
		return fmt.Errorf("%w; before that: %w", d.broken, cause)
	}
	return nil
}

// refused reports whether Sysdig would answer the same next time.
func refused(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.StatusCode < http.StatusInternalServerError &&
		answer.StatusCode != http.StatusRequestTimeout && answer.StatusCode != http.StatusTooManyRequests
}

// changedError says why an answer is not the rest of the same file.
type changedError string

func (e changedError) Error() string { return string(e) }

func changed(format string, args ...any) error { return changedError(fmt.Sprintf(format, args...)) }

// rest asks for what is left of the file, and checks that it is that.
func (d *Download) rest() error {
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-", d.offset)}}
	switch {
	case d.etag != "" && !strings.HasPrefix(d.etag, "W/"): // If-Range takes no weak one
		header.Set("If-Range", d.etag)
	case d.modified != "":
		header.Set("If-Range", d.modified)
	case d.size < 0 && d.etag == "":
		return changed("the server gave neither a size nor an ETag or Last-Modified to tell the file by")
	}
	resp, err := d.request(header)
	if err != nil {
		return err
	}
	if err := d.check(resp); err != nil {
		_ = d.Close()
		return err
	}
	return nil
}

func (d *Download) check(resp *http.Response) error {
	if resp.StatusCode != http.StatusPartialContent {
		return changed("answered %d: want %d and the rest of the file", resp.StatusCode, http.StatusPartialContent)
	}
	var first, last, size int64
	got := resp.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(got, "bytes %d-%d/%d", &first, &last, &size); err != nil || first != d.offset || last < first || last >= size {
		return changed("answered with Content-Range %q: want one from byte %d, and the size", got, d.offset)
	}
	if d.size >= 0 && size != d.size {
		return changed("the file has %d bytes now: want the %d of before", size, d.size)
	}
	for name, before := range map[string]string{"ETag": d.etag, "Last-Modified": d.modified} {
		if now := resp.Header.Get(name); now != "" && before != "" && now != before {
			return changed("the file has %s %s now: want the %s of before", name, now, before)
		}
	}
	d.size = size
	return nil
}
