package sysdigtest_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"firebreak/internal/sysdig/sysdigtest"

	"github.com/stretchr/testify/require"
)

const captureBody = `{"containerId":"aaa000000006","duration":15,"hostName":"h","name":"n","filters":"","bucketName":"",` +
	`"agent":{"id":"99004","customer":"55001","machineID":"aa:bb:cc:dd:ee:04","hostName":"h"},` +
	`"annotations":{"manual":"true"},"source":"SDS","storageType":"S3","folder":"/"}`

func TestACapturePassesThroughItsStages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{Step: time.Second, CaptureSize: 1000})
		created := do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		require.Equal(t, "requested", created.get("capture", "status"))
		require.Equal(t, "n.scap", created.get("capture", "name"))
		for _, want := range []string{"capturing", "uploading", "done"} {
			do(t, s, "GET", "/api/v1/captures/555444/download", "").status(409)
			time.Sleep(time.Second)
			require.Equal(t, want, do(t, s, "GET", "/api/v1/captures/555444", "").status(200).get("capture", "status"))
			require.Equal(t, want, do(t, s, "GET", "/api/sysdig/555444?source=SDS", "").status(200).get("dump", "status"))
		}
		file := do(t, s, "GET", "/api/v1/captures/555444/download", "").status(200)
		want, err := io.ReadAll(sysdigtest.CaptureReader(555444, 1000))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, file.Body.Bytes()))

		r := httptest.NewRequest("GET", "/api/v1/captures/555444/download", nil)
		r.Header.Set("Authorization", "Bearer test-token")
		r.Header.Set("Range", "bytes=900-")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Equal(t, 206, w.Code)
		require.True(t, bytes.Equal(want[900:], w.Body.Bytes()), "a download can be continued")

		kinds := []sysdigtest.Kind{}
		for _, e := range s.Ledger() {
			kinds = append(kinds, e.Kind)
			require.Equal(t, hostID, e.HostID)
			require.Equal(t, container, e.ContainerID)
		}
		require.Equal(t, []sysdigtest.Kind{sysdigtest.Capture, sysdigtest.Download, sysdigtest.Download}, kinds)
	})
}

func TestAHostTakesOneCaptureAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{Step: time.Second})
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		r := do(t, s, "POST", "/api/v1/captures", captureBody).status(400)
		require.Contains(t, r.Body.String(), "Maximum number of outstanding captures (1) reached")
		other := strings.NewReplacer("99004", "58014837", "aa:bb:cc:dd:ee:04", "42:01:0a:80:00:05").Replace(captureBody)
		do(t, s, "POST", "/api/v1/captures", other).status(201)
		time.Sleep(3 * time.Second)
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
	})
}

func TestACaptureOfAnUnknownAgentIsRequestedForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		for _, unknown := range []string{
			strings.Replace(captureBody, "99004", "99005", 1),
			strings.Replace(captureBody, "aa:bb:cc:dd:ee:04", "aa:bb:cc:dd:ee:05", 1),
		} {
			do(t, s, "POST", "/api/v1/captures", unknown).status(201)
		}
		time.Sleep(24 * time.Hour)
		for _, c := range do(t, s, "GET", "/api/sysdig?source=SDS", "").status(200).get("dumps").([]any) {
			require.Equal(t, "requested", c.(map[string]any)["status"])
		}
		require.Empty(t, s.Ledger())
	})
}

func TestCapturesAreListedByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{})
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201) // at 2000-01-01, as synctest has it
		require.Len(t, do(t, s, "GET", "/api/sysdig?source=SDS&from=946684800000000&to=946684800000000", "").get("dumps"), 1)
		require.Empty(t, do(t, s, "GET", "/api/sysdig?source=SDS&from=946684800000001&to=946684800000002", "").get("dumps"))
		do(t, s, "GET", "/api/sysdig?source=SDS&from=2&to=1", "").status(400)
		do(t, s, "GET", "/api/sysdig", "").status(400)
	})
}

func TestACaptureFileIsAValidScapOfAnySize(t *testing.T) {
	t.Parallel()
	raw, err := io.ReadAll(sysdigtest.CaptureReader(1, 1003))
	require.NoError(t, err)
	require.Len(t, raw, 1003)
	require.EqualValues(t, 0x0A0D0D0A, binary.LittleEndian.Uint32(raw))
	require.EqualValues(t, 0x1A2B3C4D, binary.LittleEndian.Uint32(raw[8:]))
	require.Equal(t, binary.LittleEndian.Uint32(raw[4:]), binary.LittleEndian.Uint32(raw[24:]))

	// However it is read, it is the same; every capture has its own.
	require.NoError(t, iotest.TestReader(sysdigtest.CaptureReader(1, 1003), raw))
	other, err := io.ReadAll(sysdigtest.CaptureReader(2, 1003))
	require.NoError(t, err)
	require.NotEqual(t, raw, other)
}
