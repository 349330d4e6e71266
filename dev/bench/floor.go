package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"firebreak/internal/sysdig"
	"firebreak/signals"
)

// floorQueue is the bare program's task queue, and what its workflow IDs begin
// with.
const floorQueue = "floor"

// floor is the bare program: what somebody would write who knows Temporal's SDK
// and nothing else. It does the job, and nothing that Firebreak does besides.
type floor struct {
	url    string
	client client.Client
	worker worker.Worker
	server *http.Server
}

// startFloor starts the bare program, with the SDK's own settings of client and
// worker.
func startFloor(ctx context.Context, temporal string, of sysdig.Config, logger *slog.Logger) (_ *floor, err error) {
	f := &floor{}
	if f.client, err = client.DialContext(ctx, client.Options{HostPort: temporal, Logger: log.NewStructuredLogger(logger)}); err != nil {
		return nil, fmt.Errorf("connect to temporal: %w", err)
	}
	f.worker = worker.New(f.client, floorQueue, worker.Options{})
	f.worker.RegisterWorkflow(killAtOnce)
	f.worker.RegisterWorkflow(killWhenApproved)
	f.worker.RegisterActivity(&killer{url: of.APIURL, token: of.Token, http: &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 32},
	}})
	if err := f.worker.Start(); err != nil {
		f.client.Close()
		return nil, fmt.Errorf("start worker: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		f.worker.Stop()
		f.client.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	f.url = "http://" + listener.Addr().String()
	f.server = &http.Server{Handler: http.HandlerFunc(f.webhook), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = f.server.Serve(listener) }() // until stop
	return f, nil
}

func (f *floor) stop() error {
	err := f.server.Close()
	f.worker.Stop()
	f.client.Close()
	return err
}

// webhook starts a workflow for every event.
func (f *floor) webhook(w http.ResponseWriter, r *http.Request) {
	var events []struct {
		ContainerID string            `json:"containerId"`
		Labels      map[string]string `json:"labels"`
		Content     struct {
			RuleName string `json:"ruleName"`
		} `json:"content"`
	}
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, event := range events {
		do := killAtOnce
		if event.Content.RuleName == ruleApproved {
			do = killWhenApproved
		}
		options := client.StartWorkflowOptions{
			ID:        floorQueue + ":" + event.Labels["host.hostName"] + ":" + event.ContainerID,
			TaskQueue: floorQueue,
		}
		if _, err := f.client.ExecuteWorkflow(r.Context(), options, do, victim{event.Labels["host.id"], event.ContainerID}); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	w.WriteHeader(http.StatusAccepted)
}

// victim is the container to kill, as Sysdig names its parameters.
type victim struct {
	HostID      string `json:"host.id"`
	ContainerID string `json:"container.id"`
}

func killAtOnce(ctx workflow.Context, v victim) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	return workflow.ExecuteActivity(ctx, (*killer)(nil).Kill, v).Get(ctx, nil)
}

func killWhenApproved(ctx workflow.Context, v victim) error {
	var d signals.Decision
	workflow.GetSignalChannel(ctx, signals.Approve).Receive(ctx, &d)
	return killAtOnce(ctx, v)
}

// killer is the one activity.
type killer struct {
	url, token string
	http       *http.Client
}

// Kill asks Sysdig to kill a container.
func (k *killer) Kill(ctx context.Context, v victim) error {
	body, err := json.Marshal(map[string]any{"actionType": "KILL_CONTAINER", "parameters": v})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+executionsPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+k.token)
	resp, err := k.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body) // the connection is used again
	return err
}
