package sysdig

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"time"
)

// captureBody is the request as the Cortex XSOAR pack sends it, constant values
// included. The agent's key is machineID here and machineId in answers.
type captureBody struct {
	ContainerID string            `json:"containerId"`
	Duration    int64             `json:"duration"` // seconds
	HostName    string            `json:"hostName"`
	Name        string            `json:"name"`
	Filters     string            `json:"filters"`
	BucketName  string            `json:"bucketName"`
	Agent       captureBodyAgent  `json:"agent"`
	Annotations map[string]string `json:"annotations"`
	Source      string            `json:"source"`
	StorageType string            `json:"storageType"`
	Folder      string            `json:"folder"`
}

type captureBodyAgent struct {
	ID        string `json:"id"`
	Customer  string `json:"customer"`
	MachineID string `json:"machineID"`
	HostName  string `json:"hostName"`
}

func newCaptureBody(cr CaptureRequest) captureBody {
	return captureBody{
		ContainerID: cr.ContainerID,
		Duration:    int64(cr.Duration / time.Second),
		HostName:    cmp.Or(cr.HostName, cr.Agent.HostName),
		Name:        cr.Name,
		Filters:     cr.Filter,
		Agent: captureBodyAgent{
			ID: cr.Agent.ID, Customer: cr.Agent.Customer, MachineID: cr.Agent.MachineID, HostName: cr.Agent.HostName,
		},
		Annotations: map[string]string{"manual": "true"},
		Source:      "SDS",
		StorageType: "S3",
		Folder:      "/",
	}
}

// captureAnswer is {"capture": {…}} of the pack's path, {"dump": {…}} of the
// SDK's, or the bare capture.
type captureAnswer struct {
	captureItem
	Wrapped *captureItem `json:"capture"`
	Dump    *captureItem `json:"dump"`
}

func (a *captureAnswer) item() *captureItem { return cmp.Or(a.Wrapped, a.Dump, &a.captureItem) }

func (a *captureAnswer) capture() *Capture { return a.item().capture() }

func (a *captureAnswer) check() error { return a.item().check() }

// captureList is the answer of the SDK's listing.
type captureList struct {
	Dumps list[captureItem] `json:"dumps"`
}

func (a *captureList) check() error {
	if !a.Dumps.present {
		return errors.New(`no "dumps"`)
	}
	for i := range a.Dumps.items {
		if err := a.Dumps.items[i].check(); err != nil {
			return err
		}
	}
	return nil
}

type captureItem struct {
	ID          text `json:"id"`
	Name        text `json:"name"`
	Status      text `json:"status"`
	Size        text `json:"size"`
	ContainerID text `json:"containerId"`
	Folder      text `json:"folder"`
	MachineID   text `json:"machineId"`
	Agent       struct {
		ID        text `json:"id"`
		HostName  text `json:"hostName"`
		MachineID text `json:"machineId"`
	} `json:"agent"`
	id int64
}

func (i *captureItem) check() (err error) {
	if i.id, err = strconv.ParseInt(string(i.ID), 10, 64); err != nil {
		return errors.New("the capture has no numeric id")
	}
	return nil
}

func (i *captureItem) capture() *Capture {
	size, _ := strconv.ParseInt(string(i.Size), 10, 64) // absent until uploaded
	return &Capture{
		ID:          i.id,
		Name:        string(i.Name),
		Status:      parseCaptureStatus(string(i.Status)),
		Size:        size,
		ContainerID: string(i.ContainerID),
		AgentID:     string(i.Agent.ID),
		HostName:    string(i.Agent.HostName),
		MachineID:   string(cmp.Or(i.MachineID, i.Agent.MachineID)),
		Folder:      string(i.Folder),
	}
}

// parseCaptureStatus finds the constant whatever its case.
func parseCaptureStatus(s string) CaptureStatus {
	for _, known := range []CaptureStatus{
		CaptureRequested, CaptureCapturing, CaptureUploading,
		CaptureDone, CaptureUploaded, CaptureError, CaptureUploadingError,
	} {
		if strings.EqualFold(s, string(known)) {
			return known
		}
	}
	return CaptureStatus(s)
}
