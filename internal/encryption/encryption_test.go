package encryption_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"firebreak/internal/encryption"
)

func newFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset.json")
	_, err := encryption.Create(path)
	require.NoError(t, err)
	return path
}

func open(t *testing.T, path string) *encryption.Keyset {
	t.Helper()
	keys, err := encryption.Open(path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return keys
}

func payload(t *testing.T, value any) *common.Payload {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	return p
}

func encode(t *testing.T, keys converter.PayloadCodec, value any) *common.Payload {
	t.Helper()
	encoded, err := keys.Encode([]*common.Payload{payload(t, value)})
	require.NoError(t, err)
	return encoded[0]
}

// requireDecodes checks that a payload holds a value again.
func requireDecodes(t *testing.T, keys converter.PayloadCodec, p *common.Payload, want any) {
	t.Helper()
	decoded, err := keys.Decode([]*common.Payload{p})
	require.NoError(t, err)
	require.True(t, proto.Equal(payload(t, want), decoded[0]), "%v", decoded[0])
}

func primary(t *testing.T, path string) string {
	t.Helper()
	keys, err := encryption.Show(path)
	require.NoError(t, err)
	for _, key := range keys {
		if key.Use == encryption.Primary {
			return key.ID
		}
	}
	require.Fail(t, "there is no primary key")
	return ""
}

func TestAPayloadIsUnreadableWithoutItsKey(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	keys := open(t, path)
	p := encode(t, keys, "a secret thing")
	require.NotContains(t, p.String(), "secret")
	require.NotContains(t, p.String(), "json/plain", "nor is it told what kind of value it is")
	require.Equal(t, map[string][]byte{"encoding": []byte("binary/encrypted"), "encryption-key-id": []byte(primary(t, path))}, p.GetMetadata())
	require.False(t, proto.Equal(p, encode(t, keys, "a secret thing")), "the same is never encrypted to the same")
	requireDecodes(t, keys, p, "a secret thing")

	other := newFile(t)
	_, err := open(t, other).Decode([]*common.Payload{p})
	require.EqualError(t, err, "the payload is encrypted with key "+primary(t, path)+", which is not enabled in the keyset "+other+"; want a keyset that has it")
	var unknown *encryption.UnknownKeyError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, primary(t, path), unknown.ID)
	_, err = (*encryption.Keyset)(nil).Decode([]*common.Payload{p})
	require.ErrorContains(t, err, "key "+primary(t, path)+", and this process has no keyset; want --keyset")
}

func TestWhatIsNotEncryptedIsReadAsItIs(t *testing.T) {
	t.Parallel()
	for _, keys := range []*encryption.Keyset{nil, open(t, newFile(t))} {
		requireDecodes(t, keys, payload(t, map[string]any{"analyst": "ann"}), map[string]any{"analyst": "ann"})
	}
	var none *encryption.Keyset
	require.True(t, proto.Equal(payload(t, "x"), encode(t, none, "x")), "without a keyset nothing is encrypted")
	require.True(t, proto.Equal(payload(t, nil), encode(t, open(t, newFile(t)), nil)), "the server deletes a memo field by nil")
}

func TestWhatNoKeyWillEverOpenIsHandedOnAsItIs(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	keys := open(t, path)
	sealed := encode(t, keys, "x")
	for name, change := range map[string]func(*common.Payload){
		"changed":              func(p *common.Payload) { p.Data[len(p.GetData())-1] ^= 1 },
		"short":                func(p *common.Payload) { p.Data = nil },
		"of no key":            func(p *common.Payload) { delete(p.Metadata, encryption.MetadataKeyID) },
		"of no number":         func(p *common.Payload) { p.Metadata[encryption.MetadataKeyID] = []byte("staging") },
		"of no number of Tink": func(p *common.Payload) { p.Metadata[encryption.MetadataKeyID] = []byte("99999999999") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proto.Clone(sealed).(*common.Payload)
			change(p)
			decoded, err := keys.Decode([]*common.Payload{p})
			require.NoError(t, err, "it must not be waited for")
			require.True(t, proto.Equal(p, decoded[0]))
		})
	}
}

func TestAfterARotationOldAndNewAreReadByWhoeverHasWhichFile(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	stale := filepath.Join(t.TempDir(), "stale.json")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(stale, content, 0o600))
	behind, keys := open(t, stale), open(t, path)

	first, before := primary(t, path), encode(t, keys, "before")
	listed, err := encryption.Rotate(path)
	require.NoError(t, err)
	require.Len(t, listed, 3)
	require.Equal(t, encryption.Key{ID: first, Use: encryption.Old}, listed[0])
	require.Equal(t, []encryption.Use{encryption.Primary, encryption.Next}, []encryption.Use{listed[1].Use, listed[2].Use})

	after := encode(t, keys, "after")
	require.Equal(t, listed[1].ID, string(after.GetMetadata()[encryption.MetadataKeyID]), "the file is read anew")
	requireDecodes(t, keys, before, "before")
	requireDecodes(t, keys, after, "after")
	requireDecodes(t, behind, after, "after")
	requireDecodes(t, keys, encode(t, behind, "late"), "late")

	_, err = encryption.Rotate(path)
	require.NoError(t, err)
	requireDecodes(t, keys, before, "before")
	_, err = behind.Decode([]*common.Payload{encode(t, keys, "x")})
	require.ErrorContains(t, err, "key "+listed[2].ID+", which is not enabled", "two rotations behind is too far")
}

func TestAKeysetOfAnotherOriginIsRotatedWhenEverybodyHasItsNextKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tinkey.json")
	single(t, path, aead.AES256GCMKeyTemplate())
	first := primary(t, path)
	listed, err := encryption.Rotate(path)
	require.NoError(t, err)
	require.Equal(t, first, primary(t, path))
	require.Equal(t, encryption.Next, listed[1].Use)
	_, err = encryption.Rotate(path)
	require.NoError(t, err)
	require.Equal(t, listed[1].ID, primary(t, path))
}

func TestADisabledKeyOpensNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	var first, second uint32
	m := keyset.NewManager()
	first, second = add(t, m, aead.AES256GCMKeyTemplate()), add(t, m, aead.AES256GCMKeyTemplate())
	require.NoError(t, m.SetPrimary(first))
	save(t, m, path)
	p := encode(t, open(t, path), "x")
	require.NoError(t, m.SetPrimary(second))
	require.NoError(t, m.Disable(first))
	save(t, m, path)
	_, err := open(t, path).Decode([]*common.Payload{p})
	require.ErrorContains(t, err, "not enabled in the keyset")
	listed, err := encryption.Show(path)
	require.NoError(t, err)
	require.Equal(t, []encryption.Use{encryption.Disabled, encryption.Primary}, []encryption.Use{listed[0].Use, listed[1].Use})
}

func TestAKeysetThatOthersReadIsRefused(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	for mode, good := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o440: true, 0o640: true, 0o644: false, 0o604: false, 0o620: false, 0o660: false, 0o601: false,
	} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := encryption.Open(path, slog.New(slog.DiscardHandler))
		require.Equal(t, good, err == nil, "%o: %v", mode, err)
		if !good {
			require.ErrorContains(t, err, "want 0600, or 0640 at most")
		}
	}
}

func TestWhatIsNoKeysetIsRefusedWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wrong := filepath.Join(dir, "mac.json")
	single(t, wrong, mac.HMACSHA256Tag256KeyTemplate())
	_, err := encryption.Open(wrong, slog.Default())
	require.ErrorContains(t, err, "want keys for authenticated encryption (AEAD)")

	garbage := filepath.Join(dir, "garbage.json")
	require.NoError(t, os.WriteFile(garbage, []byte(`{"primaryKeyId": hunter2}`), 0o600))
	_, err = encryption.Open(garbage, slog.Default())
	require.ErrorContains(t, err, "garbage.json: it is no keyset of Tink")
	require.NotContains(t, err.Error(), "hunter2")

	_, err = encryption.Open(filepath.Join(dir, "absent.json"), slog.Default())
	require.ErrorContains(t, err, "absent.json: no such file")
	_, err = encryption.Create(garbage)
	require.ErrorContains(t, err, "it exists")
	content, err := os.ReadFile(garbage)
	require.NoError(t, err)
	require.Contains(t, string(content), "hunter2", "nothing is overwritten")

	none, err := encryption.Open("", slog.Default())
	require.NoError(t, err)
	require.Nil(t, none)
}

func TestNoRotationTakesAwayWhatAnotherOneAdds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	all, err := encryption.Create(path)
	require.NoError(t, err)
	var mu sync.Mutex
	var refusals []error
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			keys, err := encryption.Rotate(path)
			mu.Lock()
			defer mu.Unlock()
			if all = append(all, keys...); err != nil {
				refusals = append(refusals, err)
			}
		})
	}
	group.Wait()
	for _, err := range refusals {
		require.ErrorContains(t, err, "somebody else is writing it just now")
	}
	now, err := encryption.Show(path)
	require.NoError(t, err)
	has := map[string]bool{}
	for _, key := range now {
		has[key.ID] = true
	}
	for _, key := range all {
		require.True(t, has[key.ID], "%v is lost", key)
	}
	require.Greater(t, len(now), 2)
}

func TestARotationThatWasCutOffIsInTheWayUntilItsFileIsRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	_, err := encryption.Create(path)
	require.NoError(t, err)
	begun := filepath.Join(filepath.Dir(path), ".keyset.json.new")
	require.NoError(t, os.WriteFile(begun, nil, 0o600))
	_, err = encryption.Rotate(path)
	require.ErrorContains(t, err, "remove "+begun)
	require.NoError(t, os.Remove(begun))
	_, err = encryption.Rotate(path)
	require.NoError(t, err)
	require.NoFileExists(t, begun)
}

func TestAKeysetThatIsRotatedKeepsThePermissionsOfItsFile(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.Chmod(path, 0o640))
	_, err = encryption.Rotate(path)
	require.NoError(t, err)
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")
}

func TestALinkToAKeysetStaysOne(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	link := filepath.Join(t.TempDir(), "keyset.json")
	require.NoError(t, os.Symlink(path, link))
	first := primary(t, path)
	_, err := encryption.Rotate(link)
	require.NoError(t, err)
	require.NotEqual(t, first, primary(t, path), "whoever opens the file itself has the new one")
	target, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, path, target)
}

func TestAKeysetThatBecomesUnusableStaysInUse(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	var log strings.Builder
	keys, err := encryption.Open(path, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	p := encode(t, keys, "x")
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	requireDecodes(t, keys, p, "x")
	require.Contains(t, log.String(), "it is no keyset of Tink")
}

func add(t *testing.T, m *keyset.Manager, template *tink_go_proto.KeyTemplate) uint32 {
	t.Helper()
	id, err := m.Add(template)
	require.NoError(t, err)
	return id
}

// single writes a keyset of one key, as tinkey does.
func single(t *testing.T, path string, template *tink_go_proto.KeyTemplate) {
	t.Helper()
	m := keyset.NewManager()
	require.NoError(t, m.SetPrimary(add(t, m, template)))
	save(t, m, path)
}

func save(t *testing.T, m *keyset.Manager, path string) {
	t.Helper()
	handle, err := m.Handle()
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)))
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
}
