package evidence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// CaptureHead is how many leading bytes of a capture [CheckCapture] looks at, at
// most.
const CaptureHead = 16

// The leading bytes of a system capture.
const (
	sectionHeader  = 0x0A0D0D0A // block type, the same in either byte order
	byteOrderMagic = 0x1A2B3C4D
)

// CheckCapture refuses what cannot be a system capture by its first bytes: an
// error page, or JSON, that was served in its place. A .scap file begins with a
// section header block as pcapng defines it; a compressed one is gzip.
func CheckCapture(head []byte) error {
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		return nil
	}
	if len(head) >= 12 && binary.LittleEndian.Uint32(head) == sectionHeader {
		if magic := head[8:12]; binary.LittleEndian.Uint32(magic) == byteOrderMagic ||
			binary.BigEndian.Uint32(magic) == byteOrderMagic {
			return nil
		}
	}
	if len(head) == 0 {
		return errors.New("it is empty: want a .scap file")
	}
	return fmt.Errorf("it begins with %q: want the section header of a .scap file, or gzip", head[:min(len(head), CaptureHead)])
}
