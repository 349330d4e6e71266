// Package encryption keeps from Temporal what Firebreak tells it: every payload
// is encrypted before it leaves the process, and decrypted when it comes back.
// It knows nothing of incidents, and nothing of where keys come from but a file.
//
// Encryption is of the connection, not of the code that uses it, see
// [Intercept]: inputs, results, signals, queries, updates, memos, summaries,
// details, heartbeats and the texts of failures are encrypted wherever they are
// written, and a history that is read is in the clear. What Temporal needs to
// find and order workflows stays readable: their IDs and types, the names of
// signals, queries and activities, the types of failures, search attributes, the
// names of memo fields, times, and who sent what.
package encryption

import (
	"fmt"
	"strconv"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// The metadata of an encrypted payload, by the names of Temporal's samples
// (samples-go, encryption/data_converter.go). The key ID is Tink's, in decimal.
const (
	// Encoding is the encoding of an encrypted payload.
	Encoding = "binary/encrypted"
	// MetadataKeyID names the key.
	MetadataKeyID = "encryption-key-id"
)

// nilEncoding is that of a payload that holds nothing. It stays as it is: the
// server deletes a memo field by it.
const nilEncoding = "binary/null"

var _ converter.PayloadCodec = (*Keyset)(nil)

// Encode encrypts payloads, their metadata included, with the primary key.
// Without a keyset they stay as they are.
func (k *Keyset) Encode(payloads []*common.Payload) ([]*common.Payload, error) {
	keys := k.current()
	if keys.primary == "" {
		return payloads, nil
	}
	encoded := make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		if encoding := string(p.GetMetadata()[converter.MetadataEncoding]); encoding == nilEncoding {
			encoded[i] = p
			continue
		}
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encrypt payload: %w", err)
		}
		data, err := keys.aead.Encrypt(plain, nil)
		if err != nil {
			return nil, fmt.Errorf("encrypt payload: %w", err)
		}
		encoded[i] = &common.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encoding), MetadataKeyID: []byte(keys.primary)},
			Data:     data,
		}
	}
	return encoded, nil
}

// Decode decrypts payloads with whichever key of the keyset they were encrypted
// with. What is not encrypted stays as it is: people send plain signals, and
// incidents may be older than the encryption. So does what no key will ever
// open, because it is malformed or not what was encrypted: whoever receives it
// says that it cannot be read, every time anew.
//
// A payload of a key that is not here is an *[UnknownKeyError]: the key may come
// back, and until then nothing may be concluded from what cannot be read.
func (k *Keyset) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	decoded := make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if decoded[i], err = k.decode(p); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}

func (k *Keyset) decode(p *common.Payload) (*common.Payload, error) {
	if string(p.GetMetadata()[converter.MetadataEncoding]) != Encoding {
		return p, nil
	}
	id := string(p.GetMetadata()[MetadataKeyID])
	if _, err := strconv.ParseUint(id, 10, 32); err != nil {
		return p, nil
	}
	keys := k.current()
	if !keys.enabled[id] {
		return nil, &UnknownKeyError{ID: id, Path: k.path()}
	}
	plain, err := keys.aead.Decrypt(p.GetData(), nil)
	if err != nil {
		return p, nil
	}
	decoded := &common.Payload{}
	if err := proto.Unmarshal(plain, decoded); err != nil {
		return p, nil
	}
	return decoded, nil
}

// UnknownKeyError is a payload that is encrypted with a key which the keyset
// does not have, or has disabled.
type UnknownKeyError struct {
	// ID is the key's.
	ID string
	// Path is the keyset's file, "" for a process that has no keyset.
	Path string
}

// Error names the key and what to do.
func (e *UnknownKeyError) Error() string {
	if e.Path == "" {
		return "the payload is encrypted with key " + e.ID + ", and this process has no keyset; want --keyset or temporal.keyset, or TEMPORAL_CODEC_ENDPOINT"
	}
	return "the payload is encrypted with key " + e.ID + ", which is not enabled in the keyset " + e.Path + "; want a keyset that has it"
}

// GRPCStatus makes it a status that nobody takes for a server that is down, and
// that the SDK does not retry.
func (e *UnknownKeyError) GRPCStatus() *status.Status { return status.New(codes.DataLoss, e.Error()) }
