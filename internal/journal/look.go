package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// State is how a journal is, seen from outside.
type State struct {
	// Held says that another process has it open, and alone knows what is in it.
	Held bool
	// Depth is the number of messages that wait in one that nobody has open.
	Depth int
}

// Look looks at the journal in a directory, which a process may have open. It
// changes nothing that is there: the error says why a journal could not be opened
// or written, as far as whoever looks may know.
func Look(dir string) (State, error) {
	if err := writable(dir); err != nil {
		return State{}, fmt.Errorf("look at journal: %w", err)
	}
	file := filepath.Join(dir, fileName)
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return State{}, nil
	}
	// Nobody is waited for, and a reader lets others read.
	db, err := bolt.Open(file, 0o600, &bolt.Options{ReadOnly: true, Timeout: 1})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return State{Held: true}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("look at journal %s: %w", file, err)
	}
	var state State
	err = db.View(func(tx *bolt.Tx) error {
		if bucket := tx.Bucket(messages); bucket != nil {
			state.Depth = bucket.Stats().KeyN
		}
		return nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return State{}, fmt.Errorf("look at journal %s: %w", file, err)
	}
	return state, nil
}

// writable tries to write into a directory or, where it is not there yet, into
// the one in which it would be made.
func writable(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		parent := filepath.Dir(filepath.Clean(dir))
		if parent == filepath.Clean(dir) {
			return err
		}
		return writable(parent)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	probe, err := os.CreateTemp(dir, ".setup-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
