package kafka

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/mq"
)

// maxParts bounds the parts of an entry.
const maxParts = 1 << 16

// stored is a record of this log with its offset.
type stored struct {
	offset int64
	record
}

// assembler puts entries together from the records of a topic, given in the order of their offsets.
type assembler struct {
	// from is the offset at which the reader began: parts below it come by lookBack only.
	from int64
	// maxSize bounds an entry.
	maxSize int64
	// lookBack returns this log's records from one offset to below another, or mq.ErrTruncated.
	lookBack func(from, to int64) ([]stored, error)

	attempts map[attemptID]*attempt
}

// attempt is an entry that is not whole yet.
type attempt struct {
	parts   [][]byte
	missing int
	size    int64
	dead    bool // it can never be whole
}

// add takes the next record, and returns the entry that it makes whole.
func (a *assembler) add(r stored) (mq.Entry, bool, error) {
	switch r.kind {
	case kindWhole:
		return mq.Entry{Position: mq.Position(r.offset), Data: r.data}, true, nil
	case kindPart:
		return a.addPart(r)
	}
	return mq.Entry{}, false, nil
}

func (a *assembler) addPart(r stored) (mq.Entry, bool, error) {
	t := a.attempts[r.id]
	if t == nil {
		t = a.begin(r.record)
		if r.part.index > 0 {
			if err := a.recall(t, r); err != nil {
				return mq.Entry{}, false, err
			}
		}
	}
	if t.dead || !t.take(r.record) || t.missing > 0 {
		return mq.Entry{}, false, nil
	}
	data, err := t.join()
	if err != nil {
		return mq.Entry{}, false, fmt.Errorf("entry at offset %d: %w", r.offset, err)
	}
	return mq.Entry{Position: mq.Position(r.offset), Data: data}, true, nil
}

func (a *assembler) begin(r record) *attempt {
	if a.attempts == nil {
		a.attempts = map[attemptID]*attempt{}
	}
	t := &attempt{missing: r.part.count, size: r.part.size}
	if r.part.size > a.maxSize || r.part.count > maxParts {
		t.dead = true // nobody writes such
	} else {
		t.parts = make([][]byte, r.part.count)
	}
	a.attempts[r.id] = t
	return t
}

// recall finds the parts of an attempt that lie below where the reader began. If they are truncated the entry belongs to
// a writer that a fence above the mark has shut out, and never counts.
func (a *assembler) recall(t *attempt, r stored) error {
	if t.dead || r.part.first >= a.from {
		return nil // what there is of it was read
	}
	earlier, err := a.lookBack(r.part.first, min(a.from, r.offset))
	if isTruncated(err) {
		t.dead, t.parts = true, nil
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range earlier {
		if e.kind == kindPart && e.id == r.id {
			t.take(e.record)
		}
	}
	return nil
}

// take keeps a part; false when it is there already or of another cut.
func (t *attempt) take(r record) bool {
	if len(t.parts) != r.part.count || t.size != r.part.size || t.parts[r.part.index] != nil {
		return false
	}
	t.parts[r.part.index] = r.data
	t.missing--
	return true
}

// join puts the parts together. What was shown once is not shown again.
func (t *attempt) join() ([]byte, error) {
	out := make([]byte, 0, t.size)
	for _, p := range t.parts {
		out = append(out, p...)
	}
	t.dead, t.parts = true, nil
	if int64(len(out)) != t.size {
		return nil, fmt.Errorf("parts of %d bytes, the entry has %d: %w", len(out), t.size, mq.ErrCorrupt)
	}
	return out, nil
}
