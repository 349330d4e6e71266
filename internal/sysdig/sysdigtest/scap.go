package sysdigtest

import (
	"encoding/binary"
	"hash/fnv"
	"io"
)

// CaptureReader reads the file of a capture, which follows from its ID and size
// alone: a test computes from it what a download must yield. The file begins
// with the section header block that every .scap has; what follows means
// nothing.
func CaptureReader(id, size int64) *io.SectionReader {
	return io.NewSectionReader(scap(id), 0, size)
}

// AcquiredReader reads the file that an execution of FILE_ACQUIRE has fetched,
// which follows from the execution's ID and its size alone.
func AcquiredReader(executionID string, size int64) *io.SectionReader {
	h := fnv.New64a()
	_, _ = io.WriteString(h, executionID) // never fails
	return io.NewSectionReader(noise(h.Sum64()), 0, size)
}

// noise is endless content that means nothing, by its seed. It is computed where
// it is read: a file of any size costs no memory.
type noise uint64

// ReadAt never fails.
func (s noise) ReadAt(p []byte, off int64) (int, error) {
	var word [8]byte
	for n := 0; n < len(p); {
		at := off + int64(n)
		binary.LittleEndian.PutUint64(word[:], s.word(at/8))
		n += copy(p[n:], word[at%8:])
	}
	return len(p), nil
}

// word is word i of the content: splitmix64.
func (s noise) word(i int64) uint64 {
	x := uint64(s) + uint64(i)*0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// scap is the endless content of a capture's file, by the capture's ID: noise
// behind a header.
type scap int64

// ReadAt never fails.
func (c scap) ReadAt(p []byte, off int64) (int, error) {
	n, err := noise(uint64(c)<<32).ReadAt(p, off)
	if header := sectionHeader(); off < int64(len(header)) {
		copy(p, header[off:])
	}
	return n, err
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
