package sysdigtest

import (
	"encoding/binary"
	"io"
)

// CaptureReader reads the file of a capture, which follows from its ID and size
// alone: a test computes from it what a download must yield. The file begins
// with the section header block that every .scap has; what follows means
// nothing.
func CaptureReader(id, size int64) *io.SectionReader {
	return io.NewSectionReader(scap(id), 0, size)
}

// scap is the endless content of a capture's file, by the capture's ID. It is
// computed where it is read: a file of any size costs no memory.
type scap int64

// ReadAt never fails.
func (c scap) ReadAt(p []byte, off int64) (int, error) {
	var word [8]byte
	for n := 0; n < len(p); {
		at := off + int64(n)
		binary.LittleEndian.PutUint64(word[:], c.noise(at/8))
		n += copy(p[n:], word[at%8:])
	}
	if header := sectionHeader(); off < int64(len(header)) {
		copy(p, header[off:])
	}
	return len(p), nil
}

// noise is word i of the content: splitmix64, seeded with the ID.
func (c scap) noise(i int64) uint64 {
	x := uint64(c)<<32 + uint64(i)*0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// sectionHeader is a section header block of the pcapng format.
func sectionHeader() []byte {
	const length = 28
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, 0x0A0D0D0A) // block type
	b = binary.LittleEndian.AppendUint32(b, length)
	b = binary.LittleEndian.AppendUint32(b, 0x1A2B3C4D) // byte-order magic
	b = binary.LittleEndian.AppendUint16(b, 1)          // version 1.2
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint64(b, ^uint64(0)) // section length: not given
	return binary.LittleEndian.AppendUint32(b, length)
}
