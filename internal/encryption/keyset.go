package encryption

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"firebreak/internal/reread"
)

// Keyset is a keyset of Tink for authenticated encryption, in a file. The
// primary key encrypts, and every enabled key decrypts. A file that changes is
// read anew. A nil *Keyset encrypts nothing, and knows no key. It is safe for
// concurrent use.
type Keyset struct {
	file string
	keys *reread.Files[keys]
}

// keys are a keyset's as it was read.
type keys struct {
	aead tink.AEAD
	// primary is the ID of the key that encrypts, "" for none; enabled are those
	// that decrypt.
	primary string
	enabled map[string]bool
}

// Open reads a keyset from a file: Tink's JSON, in the clear, as `firebreak
// keyset new` and `tinkey create-keyset --key-template XCHACHA20_POLY1305` write
// it. Nobody but the file's owner and group may read it, and nobody but its owner
// may write it; the group may read because that is how Kubernetes hands a secret
// to a process that is not root (fsGroup). With path "" there is no keyset, and
// the result is nil.
func Open(path string, log *slog.Logger) (*Keyset, error) {
	if path == "" {
		return nil, nil
	}
	files, err := reread.New(log, func() (keys, error) {
		handle, _, err := read(path)
		if err != nil {
			return keys{}, err
		}
		return newKeys(handle, path)
	}, path)
	if err != nil {
		return nil, err
	}
	return &Keyset{file: path, keys: files}, nil
}

func (k *Keyset) current() keys {
	if k == nil {
		return keys{}
	}
	return k.keys.Get()
}

func (k *Keyset) path() string {
	if k == nil {
		return ""
	}
	return k.file
}

func newKeys(handle *keyset.Handle, path string) (keys, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return keys{}, fmt.Errorf("keyset %s: %w; want keys for authenticated encryption (AEAD), one of them primary", path, err)
	}
	k := keys{aead: primitive, enabled: map[string]bool{}}
	info := handle.KeysetInfo()
	k.primary = format(info.GetPrimaryKeyId())
	for _, key := range info.GetKeyInfo() {
		if key.GetStatus() == tink_go_proto.KeyStatusType_ENABLED {
			k.enabled[format(key.GetKeyId())] = true
		}
	}
	return k, nil
}

func format(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

// forbidden are the permissions that a keyset's file must not have.
const forbidden fs.FileMode = 0o027

// read reads a keyset, and whose its file is. Its errors quote nothing of the
// file.
func read(path string) (*keyset.Handle, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read keyset: %w", err) // it names the path
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("read keyset: %w", err)
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return nil, nil, fmt.Errorf("keyset %s: its mode is %04o; want 0600, or 0640 at most: whoever reads it reads every incident", path, mode)
	}
	var content bytes.Buffer
	if _, err := content.ReadFrom(file); err != nil {
		return nil, nil, fmt.Errorf("read keyset: %w", err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(&content))
	if err != nil {
		return nil, nil, fmt.Errorf("keyset %s: %w", path, errNoKeyset)
	}
	return handle, info, nil
}

var errNoKeyset = errors.New("it is no keyset of Tink; want one in JSON and in the clear, as `firebreak keyset new` writes it")
