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

const captureBody = `{"containerId":"aaa000000006","duration":15,"hostName":"h","name":"n","filters":"container.id=aaa000000006","bucketName":"",` +
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

// The agent refuses a second capture after Sysdig has accepted it, and is free again
// once the first one is uploaded.
func TestAgentRefusesASecondCaptureUntilTheUploadIsComplete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{Step: time.Second, CaptureSize: 600 << 20})
		read := func(id string) map[string]any {
			return do(t, s, "GET", "/api/v1/captures/"+id, "").status(200).get("capture").(map[string]any)
		}
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		require.Equal(t, "requested", do(t, s, "POST", "/api/v1/captures", captureBody).status(201).get("capture", "status"))
		time.Sleep(time.Second)
		require.Equal(t, "capturing", read("555444")["status"])
		require.Equal(t, "error", read("555445")["status"])
		require.Equal(t, sysdigtest.ReasonBusy, read("555445")["errorMessage"])

		other := strings.NewReplacer("99004", "58014837", "aa:bb:cc:dd:ee:04", "42:01:0a:80:00:05").Replace(captureBody)
		do(t, s, "POST", "/api/v1/captures", other).status(201)
		time.Sleep(9 * time.Minute)
		require.Equal(t, "uploading", read("555446")["status"], "another host has a slot of its own")
		require.Equal(t, "uploading", read("555444")["status"], "1 MiB/s")
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		time.Sleep(2 * time.Minute)
		require.Equal(t, "done", read("555444")["status"])
		require.Equal(t, "error", read("555447")["status"], "it came during the upload")
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		time.Sleep(time.Second)
		require.Equal(t, "capturing", read("555448")["status"])
	})
}

func TestAgentRefusesCaptures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options sysdigtest.Options
		before  func(*sysdigtest.Server)
		body    string
		key     string
		want    any
	}{
		"disabled":         {sysdigtest.Options{AgentRefuses: sysdigtest.ReasonDisabled}, nil, captureBody, "errorMessage", sysdigtest.ReasonDisabled},
		"no driver":        {sysdigtest.Options{AgentRefuses: sysdigtest.ReasonNoDriver, ReasonKey: "reason"}, nil, captureBody, "reason", sysdigtest.ReasonNoDriver},
		"without a reason": {sysdigtest.Options{AgentRefuses: sysdigtest.ReasonQueueFull, ReasonKey: "-"}, nil, captureBody, "errorMessage", nil},
		"filter":           {sysdigtest.Options{}, nil, strings.Replace(captureBody, `"container.id=`, `"(container.id=`, 1), "errorMessage", sysdigtest.ReasonFilter},
		"policy capture": {
			sysdigtest.Options{},
			func(s *sysdigtest.Server) { s.PolicyCapture(99004, time.Minute) },
			captureBody, "errorMessage", sysdigtest.ReasonBusy,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := sysdigtest.New(tc.options)
				if tc.before != nil {
					tc.before(s)
				}
				do(t, s, "POST", "/api/v1/captures", tc.body).status(201)
				time.Sleep(time.Second)
				c := do(t, s, "GET", "/api/sysdig/555444?source=SDS", "").status(200).get("dump").(map[string]any)
				require.Equal(t, "error", c["status"])
				require.Equal(t, tc.want, c[tc.key])
				require.Empty(t, s.Ledger())
			})
		})
	}
}

// The response action CAPTURE uses the slot of its host, too.
func TestActionCaptureUsesTheSlotOfItsHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{CaptureSize: 60 << 20})
		const action = `{"actionType":"CAPTURE","callerId":"c","parameters":{"host.id":"` + hostID + `","capture.remote_storage_configuration_id":"s",` +
			`"capture.duration_ns":15000000000,"capture.past_duration_ns":0}}`
		first := do(t, s, "POST", executions, action).status(201).get("id").(string)
		time.Sleep(time.Second)
		second := do(t, s, "POST", executions, action).status(201).get("id").(string)
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		time.Sleep(time.Second)
		require.Equal(t, "COMPLETED", do(t, s, "GET", executions+"/"+first, "").get("status"))
		require.Equal(t, sysdigtest.ReasonBusy, do(t, s, "GET", executions+"/"+second, "").get("failure", "logMessage"))
		require.Equal(t, "error", do(t, s, "GET", "/api/v1/captures/555444", "").get("capture", "status"))
	})
}

// The container of the request presets a viewer's filter: only the capture's own
// filter restricts it.
func TestCaptureRecordsTheHostUnlessItsFilterNamesAContainer(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"": "", "proc.name=sh": "", "container.id=aaa000000006": "aaa000000006", "container.id=aaa000000006 and (proc.name=sh)": "aaa000000006",
		"container.id=aaa000000006 or proc.name=sh": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := sysdigtest.New(sysdigtest.Options{})
			do(t, s, "POST", "/api/v1/captures", strings.Replace(captureBody, "container.id=aaa000000006", filter, 1)).status(201)
			time.Sleep(time.Second)
			require.Equal(t, want, s.Ledger()[0].ContainerID, filter)
		})
	}
}

func TestAFamilyOfCapturePathsCanBeClosed(t *testing.T) {
	t.Parallel()
	const dump = `{"agent":{"id":99004,"customer":55001,"hostName":"ip-10-0-0-3.ec2.internal"},"name":"n","duration":15,"folder":"/","filters":"",` +
		`"bucketName":"","source":"SDS"}`
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{Closed: []string{sysdigtest.CapturesPath}})
		do(t, s, "POST", "/api/v1/captures", captureBody).status(403)
		require.Equal(t, "n.scap", do(t, s, "POST", "/api/sysdig", dump).status(201).get("dump", "name"))
		time.Sleep(time.Second)
		do(t, s, "GET", "/api/v1/captures/555444/download", "").status(403)
		do(t, s, "GET", "/api/sysdig/555444/download?_product=SDS", "").status(200)

		s = sysdigtest.New(sysdigtest.Options{Closed: []string{sysdigtest.DumpsPath}})
		do(t, s, "POST", "/api/sysdig", dump).status(403)
		do(t, s, "GET", "/api/sysdig?source=SDS", "").status(403)
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		require.Len(t, do(t, s, "GET", "/api/v1/captures?source=SDS", "").status(200).get("captures"), 1)
	})
}

func TestABusyHostIsRefusedAtOnceWhereTheOptionSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sysdigtest.New(sysdigtest.Options{Step: time.Second, RefuseBusyAtOnce: true})
		do(t, s, "POST", "/api/v1/captures", captureBody).status(201)
		time.Sleep(time.Second)
		r := do(t, s, "POST", "/api/v1/captures", captureBody).status(400)
		require.Contains(t, r.Body.String(), "Maximum number of outstanding captures (1) reached")
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
