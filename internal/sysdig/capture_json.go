package sysdig

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
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

// dumpBody is the request as sysdig-sdk-python sends it. Its agent is an object of
// the list of connected agents, of which these keys are known.
type dumpBody struct {
	Agent      dumpBodyAgent `json:"agent"`
	Name       string        `json:"name"`
	Duration   int64         `json:"duration"` // seconds
	Folder     string        `json:"folder"`
	Filters    string        `json:"filters"`
	BucketName string        `json:"bucketName"`
	Source     string        `json:"source"`
}

type dumpBodyAgent struct {
	ID        any    `json:"id"`
	Customer  any    `json:"customer"`
	MachineID string `json:"machineId"`
	HostName  string `json:"hostName"`
}

func newDumpBody(cr CaptureRequest) dumpBody {
	return dumpBody{
		Agent: dumpBodyAgent{
			ID: numeric(cr.Agent.ID), Customer: numeric(cr.Agent.Customer), MachineID: cr.Agent.MachineID, HostName: cr.Agent.HostName,
		},
		Name: cr.Name, Duration: int64(cr.Duration / time.Second), Folder: "/",
		Filters: cr.Filter, Source: "SDS",
	}
}

// numeric is an ID as the list of agents has it: a number, where it is one.
func numeric(id string) any {
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return id
	}
	return json.Number(id)
}

// captureAnswer is {"capture": {…}} of the pack's path, {"dump": {…}} of the
// SDK's, or the bare capture.
type captureAnswer struct{ item *captureItem }

func (a *captureAnswer) UnmarshalJSON(raw []byte) error {
	var wrapped struct {
		Capture *captureItem `json:"capture"`
		Dump    *captureItem `json:"dump"`
	}
	if err := json.Unmarshal(raw, &wrapped); err != nil {
		return err
	}
	if a.item = cmp.Or(wrapped.Capture, wrapped.Dump); a.item == nil {
		a.item = &captureItem{}
		return json.Unmarshal(raw, a.item)
	}
	return nil
}

func (a *captureAnswer) check() error {
	if a.item == nil {
		return errors.New("the answer is null")
	}
	return a.item.check()
}

// captureList is the answer of the SDK's listing, or of the other path's.
type captureList struct {
	Dumps    list[captureItem] `json:"dumps"`
	Captures list[captureItem] `json:"captures"`
}

func (a *captureList) items() []captureItem {
	if a.Dumps.present {
		return a.Dumps.items
	}
	return a.Captures.items
}

func (a *captureList) check() error {
	if !a.Dumps.present && !a.Captures.present {
		return errors.New(`neither "dumps" nor "captures"`)
	}
	items := a.items()
	for i := range items {
		if err := items[i].check(); err != nil {
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
	// texts are those of other keys.
	texts []string
}

// UnmarshalJSON also keeps the texts under keys that are not known: one of them is
// why a capture has failed.
func (i *captureItem) UnmarshalJSON(raw []byte) error {
	type plain captureItem
	if err := json.Unmarshal(raw, (*plain)(i)); err != nil {
		return err
	}
	var all object
	if err := all.UnmarshalJSON(raw); err != nil {
		return err
	}
	i.texts = reasons(all, 0)
	if agent, ok := all["agent"].(map[string]any); ok {
		i.texts = append(i.texts, reasonsOfAgent(agent)...)
	}
	return nil
}

// reasonsOfAgent returns the texts of a capture's agent under keys that say why
// something failed. The other texts, its description too, are about the host.
func reasonsOfAgent(agent map[string]any) []string {
	said := maps.Clone(agent)
	maps.DeleteFunc(said, func(key string, _ any) bool { return !saysWhy(key) || strings.EqualFold(key, "description") })
	return reasons(said, 1)
}

// described are the keys of a capture whose meaning is known (recorded answers of
// the Cortex XSOAR pack, sysdig-sdk-python). None of them holds a reason.
var described = map[string]bool{
	"id": true, "name": true, "status": true, "size": true, "containerid": true, "folder": true, "machineid": true,
	"agent": true, "annotations": true, "source": true, "type": true, "bucketname": true, "storageid": true, "storagetype": true,
	"filters": true, "filter": true, "duration": true, "hostname": true, "downloadurl": true, "customerid": true, "teamid": true,
	"userid": true, "username": true, "createdat": true, "updatedat": true, "timestamp": true, "starttime": true, "endtime": true,
}

// Bounds of what is kept of a failed capture.
const (
	maxReasonDepth = 3
	maxReasons     = 8
)

// telling are parts of keys under which a word without a blank is a reason, too.
var telling = []string{"error", "err", "reason", "message", "msg", "detail", "cause", "fail", "description"}

func saysWhy(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(telling, func(part string) bool { return strings.Contains(key, part) })
}

// reasons returns the texts of an object that may say why something failed, in the
// order of their keys: sentences, and anything under a key that says so.
func reasons(o map[string]any, depth int) []string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(o)) {
		name := strings.ToLower(key)
		if depth == 0 && described[name] {
			continue
		}
		texts = append(texts, textsOf(o[key], saysWhy(name), depth)...)
	}
	return texts[:min(len(texts), maxReasons)]
}

func textsOf(value any, says bool, depth int) []string {
	switch value := value.(type) {
	case string:
		if value = strings.TrimSpace(value); value != "" && (says || strings.ContainsAny(value, " \t\n")) {
			return []string{value}
		}
	case map[string]any:
		if depth < maxReasonDepth {
			return reasons(value, depth+1)
		}
	case []any:
		var texts []string
		for _, inner := range value {
			if len(texts) >= maxReasons || depth >= maxReasonDepth {
				break
			}
			texts = append(texts, textsOf(inner, says, depth+1)...)
		}
		return texts
	}
	return nil
}

func (i *captureItem) check() (err error) {
	if i.id, err = strconv.ParseInt(string(i.ID), 10, 64); err != nil {
		return errors.New("the capture has no numeric id")
	}
	return nil
}

// capture is the capture of an answer, without the token in case that was echoed.
func (c *Client) capture(i *captureItem) *Capture {
	found := i.capture()
	if found.Failed() {
		for n, text := range i.texts {
			i.texts[n] = cleanText(text, c.token)
		}
		found.Reason = cleanText(strings.Join(i.texts, "; "), c.token)
	}
	return found
}

// cleanText makes one line of a text for people, bounds it, and removes the token.
func cleanText(s, token string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(s, token, "[token]"))), " ")
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + truncatedMarker
	}
	return s
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
