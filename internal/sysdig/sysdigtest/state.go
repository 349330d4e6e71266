package sysdigtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// state is what survives a restart.
type state struct {
	Executions []*execution
	Captures   []*capture
	Ledger     Ledger
	Invalid    []string
	// Containers holds the state of those that do not run any more.
	Containers map[string]string
	// Killed holds the processes that were killed, as host ID "/" process ID.
	Killed map[string]bool
	// Busy is until when an agent takes a capture that was not requested by the
	// captures API, by the agent's ID.
	Busy map[string]time.Time

	dirty bool
}

// touch notes that the state has changed.
func (s *Server) touch() {
	s.state.dirty = true
	s.notify()
}

// load reads the state file, if there is one.
func (s *Server) load() error {
	defer func() {
		if s.state.Containers == nil {
			s.state.Containers = map[string]string{}
		}
		if s.state.Killed == nil {
			s.state.Killed = map[string]bool{}
		}
		if s.state.Busy == nil {
			s.state.Busy = map[string]time.Time{}
		}
	}()
	if s.opts.StateFile == "" {
		return nil
	}
	raw, err := os.ReadFile(s.opts.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load state: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&s.state); err != nil {
		return fmt.Errorf("load state from %s: %w", s.opts.StateFile, err)
	}
	for _, e := range s.state.Executions {
		s.byID[e.ID] = e
		if !e.Ended {
			s.pending = append(s.pending, e)
		}
	}
	for _, c := range s.state.Captures {
		if !c.Begun && c.HostID != "" {
			s.pending = append(s.pending, c)
		}
	}
	return nil
}

// save writes the state file if the state has changed: completely or not at all.
func (s *Server) save() {
	if s.opts.StateFile == "" || s.saveErr != nil || !s.state.dirty {
		return
	}
	s.state.dirty = false
	if err := writeFile(s.opts.StateFile, s.state); err != nil {
		s.saveErr = fmt.Errorf("save state: %w", err)
	}
}

func writeFile(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
