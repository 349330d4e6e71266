package encryption

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// Use is what a key is for.
type Use string

// The uses of keys. A keyset of Firebreak's always has a next key: when that one
// becomes primary, every process that has the file as it was before can read
// already what those encrypt that have it as it is now, in whatever order they
// get it.
const (
	Primary  Use = "primary"  // encrypts
	Next     Use = "next"     // becomes primary at the next rotation
	Old      Use = "old"      // decrypts what was encrypted before
	Disabled Use = "disabled" // does nothing
)

// Key is what may be told of a key.
type Key struct {
	ID  string `json:"id"`
	Use Use    `json:"use"`
}

// Create writes a new keyset, with a primary key and the next one, to a file
// that must not exist yet.
func Create(path string) ([]Key, error) {
	return change(path, func() (*keyset.Manager, fs.FileInfo, error) {
		if _, err := os.Lstat(path); err == nil {
			return nil, nil, fmt.Errorf("create keyset %s: it exists; want another name, or `firebreak keyset rotate`", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("create keyset: %w", err)
		}
		m := keyset.NewManager()
		id, err := m.Add(template())
		if err == nil {
			err = m.SetPrimary(id)
		}
		if err == nil {
			_, err = m.Add(template())
		}
		if err != nil {
			return nil, nil, fmt.Errorf("create keyset %s: %w", path, err)
		}
		return m, nil, nil
	})
}

// Rotate makes the next key of a keyset primary and adds another one after it.
// No key is taken away: histories are read with the one that they were written
// with. A keyset of another origin that has no next key gets one, and is only
// rotated the next time, when everybody has it. The file stays its owner's and
// its group's: root rotates what a service reads. Where the path is a link, what
// it leads to is rotated. While somebody else rotates it, it is refused: the later
// of the two would take away the key that the other one has just added.
func Rotate(path string) ([]Key, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("rotate keyset: %w", err)
	}
	return change(target, func() (*keyset.Manager, fs.FileInfo, error) {
		handle, was, err := read(path)
		if err != nil {
			return nil, nil, err
		}
		m := keyset.NewManagerFromHandle(handle)
		next, found := nextOf(handle)
		if found {
			err = m.SetPrimary(next)
		}
		if err == nil {
			_, err = m.Add(template())
		}
		if err != nil {
			return nil, nil, fmt.Errorf("rotate keyset %s: %w", path, err)
		}
		return m, was, nil
	})
}

// Show lists the keys of a keyset.
func Show(path string) ([]Key, error) {
	handle, _, err := read(path)
	if err != nil {
		return nil, err
	}
	return list(handle), nil
}

// template is what new keys are made from: an algorithm whose nonces are long
// enough to be random, however much is encrypted.
func template() *tink_go_proto.KeyTemplate { return aead.XChaCha20Poly1305KeyTemplate() }

// nextOf is the first enabled key after the primary one.
func nextOf(handle *keyset.Handle) (id uint32, found bool) {
	info, after := handle.KeysetInfo(), false
	for _, key := range info.GetKeyInfo() {
		if after && key.GetStatus() == tink_go_proto.KeyStatusType_ENABLED {
			return key.GetKeyId(), true
		}
		after = after || key.GetKeyId() == info.GetPrimaryKeyId()
	}
	return 0, false
}

func list(handle *keyset.Handle) []Key {
	var all []Key
	info := handle.KeysetInfo()
	next, found := nextOf(handle)
	for _, key := range info.GetKeyInfo() {
		use := Old
		switch id := key.GetKeyId(); {
		case key.GetStatus() != tink_go_proto.KeyStatusType_ENABLED:
			use = Disabled
		case id == info.GetPrimaryKeyId():
			use = Primary
		case found && id == next:
			use = Next
		}
		all = append(all, Key{ID: format(key.GetKeyId()), Use: use})
	}
	return all
}

// change writes the keyset that f makes to a path. While f is called already,
// nobody else changes what is there. The file is the old one or the new one, whole.
// Who may read it is as it was; where that is nil the file is its owner's alone.
func change(path string, f func() (m *keyset.Manager, was fs.FileInfo, err error)) ([]Key, error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("somebody else is writing it just now, or was cut off doing so: if nobody is, remove %s and try again", name)
	}
	if err != nil {
		return nil, fmt.Errorf("write keyset %s: %w", path, err)
	}
	m, was, err := f()
	var keys []Key
	if err == nil {
		keys, err = store(m, file, path, was)
	}
	if err != nil {
		// What stays in the way if this fails, too, the next one is told.
		_ = file.Close()
		_ = os.Remove(name)
	}
	return keys, err
}

// store writes a keyset to a file, and moves that to a path.
func store(m *keyset.Manager, file *os.File, path string, was fs.FileInfo) ([]Key, error) {
	handle, err := m.Handle()
	if err == nil {
		err = insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(file))
	}
	if err == nil && was != nil {
		if err = keepOwner(file, was); err == nil {
			err = file.Chmod(was.Mode().Perm())
		}
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = file.Close()
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return nil, fmt.Errorf("write keyset: %w", err)
	}
	return list(handle), nil
}
