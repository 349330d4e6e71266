package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Stats is how much a journal holds.
type Stats struct {
	// Depth is the number of messages, and Bytes what they take.
	Depth int
	Bytes int64
	// Oldest is when the first of them was appended, zero when there is none.
	Oldest time.Time
}

// Stats counts the messages.
func (j *Journal) Stats() (Stats, error) {
	first, err := j.Head(1, 0, nil)
	if err != nil {
		return Stats{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Stats{Depth: j.depth, Bytes: j.bytes}
	if len(first) > 0 {
		s.Oldest = first[0].At
	}
	return s, nil
}

// Holds reports whether there is a message of the key.
func (j *Journal) Holds(key string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.keys[key] > 0
}

// Err is why the journal would not take a message now: that it is full, or why
// it could not take the last one. It is nil when there is no reason.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil && j.bytes >= j.limit {
		return ErrFull
	}
	return j.err
}

// Arrived is closed when the next message has been appended.
func (j *Journal) Arrived() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.arrived
}

// Head is the first messages, in order: at most a number of them, and no more
// than fit into a number of bytes, but one at least. Those of keys that skip
// names are left out; a nil skip names none.
func (j *Journal) Head(most int, bytes int64, skip func(key string) bool) ([]Message, error) {
	var head []Message
	err := j.db.View(func(tx *bolt.Tx) error {
		cursor := tx.Bucket(messages).Cursor()
		for k, v := cursor.First(); k != nil && len(head) < most; k, v = cursor.Next() {
			if j.isGone(k) {
				continue
			}
			m, err := decode(k, v)
			if err != nil {
				return err
			}
			if skip != nil && skip(m.Key) {
				continue
			}
			if bytes -= m.size; bytes < 0 && len(head) > 0 {
				return nil
			}
			head = append(head, m)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return head, nil
}

func (j *Journal) isGone(k []byte) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, gone := j.gone[binary.BigEndian.Uint64(k)]
	return gone
}

// Remove removes messages that Head gave. They are gone for good for this
// process, also when an error says that the disk still has them: it forgets
// them with a later Remove, or they are there again after a restart.
func (j *Journal) Remove(removed []Message) error {
	j.mu.Lock()
	for _, m := range removed {
		j.gone[m.sequence] = struct{}{}
		j.countLocked(m.Key, -1, -m.size)
	}
	forget := make([]uint64, 0, len(j.gone))
	for n := range j.gone {
		forget = append(forget, n)
	}
	j.mu.Unlock()
	err := j.db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(messages)
		for _, n := range forget {
			if err := bucket.Delete(number(n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove from journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = nil // there is room again
	for _, n := range forget {
		delete(j.gone, n)
	}
	return nil
}

// decode copies a message out of the database, whose memory is only lent.
func decode(k, v []byte) (Message, error) {
	n := binary.BigEndian.Uint64(k)
	var r record
	if err := json.Unmarshal(v, &r); err != nil {
		return Message{}, fmt.Errorf("message %d: %w", n, err)
	}
	return Message{Key: r.Key, At: r.At, Body: r.Body, sequence: n, size: int64(len(v))}, nil
}
