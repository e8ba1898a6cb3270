package segment

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/bitset"
)

// postings are the rows of each of a list of values, compressed, read where they lie:
//
//	per value      u32: its number of rows
//	per value + 1  u64: where its containers begin, counted from the end of this list
//	containers     u16 upper half of the rows' numbers, u16 form, u32 count, then by form:
//	               array   count x u16, ascending: the lower halves
//	               bitmap  8 KiB, one bit per row; count is the number of rows
//	               runs    count x (u16 first, u16 last), ascending
//
// The forms are those of roaring bitmaps (Lemire et al., 2016). All that is needed of them here is to be added to a set,
// so they stay the file's bytes: nothing is parsed into objects, and one pass when they are opened checks them.
type postings struct {
	n    int
	raw  []byte
	body []byte
}

const (
	formArray  = 0
	formBitmap = 1
	formRuns   = 2

	containerRows = 1 << 16
	bitmapBytes   = containerRows / 8
)

// encodePostings packs lists of ascending rows.
func encodePostings(lists [][]uint32) []byte {
	le := binary.LittleEndian
	head := make([]byte, 0, 12*len(lists)+8)
	for _, rows := range lists {
		head = le.AppendUint32(head, uint32(len(rows)))
	}
	var body []byte
	for _, rows := range lists {
		head = le.AppendUint64(head, uint64(len(body)))
		for len(rows) > 0 {
			key, n := rows[0]>>16, 1
			for n < len(rows) && rows[n]>>16 == key {
				n++
			}
			body = appendContainer(body, uint16(key), rows[:n])
			rows = rows[n:]
		}
	}
	return append(le.AppendUint64(head, uint64(len(body))), body...)
}

func appendContainer(dst []byte, key uint16, rows []uint32) []byte {
	le := binary.LittleEndian
	runs := 1
	for i := 1; i < len(rows); i++ {
		if rows[i] != rows[i-1]+1 {
			runs++
		}
	}
	form, count := formArray, len(rows)
	switch {
	case 4*runs < min(2*len(rows), bitmapBytes):
		form, count = formRuns, runs
	case 2*len(rows) > bitmapBytes:
		form = formBitmap
	}
	dst = le.AppendUint32(le.AppendUint16(le.AppendUint16(dst, key), uint16(form)), uint32(count))
	switch form {
	case formArray:
		for _, r := range rows {
			dst = le.AppendUint16(dst, uint16(r))
		}
	case formBitmap:
		at := len(dst)
		dst = append(dst, make([]byte, bitmapBytes)...)
		for _, r := range rows {
			dst[at+int(r&0xffff)>>3] |= 1 << (r & 7)
		}
	case formRuns:
		for i := 0; i < len(rows); {
			j := i
			for j+1 < len(rows) && rows[j+1] == rows[j]+1 {
				j++
			}
			dst = le.AppendUint16(le.AppendUint16(dst, uint16(rows[i])), uint16(rows[j]))
			i = j + 1
		}
	}
	return dst
}

// postingsPart is one container of a value's rows.
type postingsPart struct {
	base, form, count int
	data              []byte
}

// next takes the first container off raw. It is not ok when the bytes are none.
func next(raw []byte) (c postingsPart, rest []byte, ok bool) {
	if len(raw) < 8 {
		return c, nil, false
	}
	le := binary.LittleEndian
	c = postingsPart{base: int(le.Uint16(raw)) << 16, form: int(le.Uint16(raw[2:])), count: int(le.Uint32(raw[4:]))}
	size := -1
	switch {
	case c.count > containerRows:
	case c.form == formArray:
		size = 2 * c.count
	case c.form == formBitmap:
		size = bitmapBytes
	case c.form == formRuns:
		size = 4 * c.count
	}
	if size < 0 || size > len(raw)-8 {
		return c, nil, false
	}
	c.data = raw[8 : 8+size]
	return c, raw[8+size:], true
}

// openPostings checks all of the bytes, so that reading needs no more checks: rows ascend and are below rows.
func openPostings(raw []byte, n, rows int) (*postings, error) {
	if n < 0 || len(raw) < 12*n+8 {
		return nil, fmt.Errorf("%d bytes for the postings of %d values", len(raw), n)
	}
	p := &postings{n: n, raw: raw, body: raw[12*n+8:]}
	at := uint64(0)
	for i := range n {
		lo, hi := p.offset(i), p.offset(i+1)
		if lo != at || hi < lo || hi > uint64(len(p.body)) {
			return nil, fmt.Errorf("postings of value %d lie from %d to %d", i, lo, hi)
		}
		if err := checkEntry(p.body[lo:hi], p.Count(i), rows); err != nil {
			return nil, fmt.Errorf("postings of value %d: %w", i, err)
		}
		at = hi
	}
	if at != uint64(len(p.body)) {
		return nil, fmt.Errorf("postings end at %d of %d bytes", at, len(p.body))
	}
	return p, nil
}

func checkEntry(raw []byte, count, rows int) error {
	last, total := -1, 0
	for len(raw) > 0 {
		c, rest, ok := next(raw)
		if !ok || c.count == 0 || c.base <= last {
			return fmt.Errorf("bad container")
		}
		n, high, ok := c.check()
		if !ok || c.base+high >= rows {
			return fmt.Errorf("container of rows from %d", c.base)
		}
		last, total, raw = c.base, total+n, rest
	}
	if total != count {
		return fmt.Errorf("%d rows instead of %d", total, count)
	}
	return nil
}

// check returns the number of rows and the highest lower half.
func (c *postingsPart) check() (n, high int, ok bool) {
	le := binary.LittleEndian
	last := -1
	switch c.form {
	case formArray:
		for i := 0; i < len(c.data); i += 2 {
			r := int(le.Uint16(c.data[i:]))
			if r <= last {
				return 0, 0, false
			}
			last = r
		}
		return c.count, last, true
	case formRuns:
		for i := 0; i < len(c.data); i += 4 {
			lo, hi := int(le.Uint16(c.data[i:])), int(le.Uint16(c.data[i+2:]))
			if lo <= last || hi < lo {
				return 0, 0, false
			}
			n, last = n+hi-lo+1, hi
		}
		return n, last, true
	}
	for i := 0; i < len(c.data); i += 8 {
		if w := le.Uint64(c.data[i:]); w != 0 {
			n, last = n+bits.OnesCount64(w), 8*i+bits.Len64(w)-1
		}
	}
	return n, last, n == c.count
}

func (p *postings) offset(i int) uint64 { return binary.LittleEndian.Uint64(p.raw[4*p.n+8*i:]) }

// Count implements plan.Postings.
func (p *postings) Count(entry int) int { return int(binary.LittleEndian.Uint32(p.raw[4*entry:])) }

// Add implements plan.Postings.
func (p *postings) Add(entry int, out bitset.Set) {
	raw := p.body[p.offset(entry):p.offset(entry+1)]
	for len(raw) > 0 {
		c, rest, ok := next(raw)
		if !ok {
			return // checked when it was opened
		}
		c.add(out)
		raw = rest
	}
}

func (c *postingsPart) add(out bitset.Set) {
	le := binary.LittleEndian
	words := out[c.base>>6:]
	switch c.form {
	case formArray:
		for i := 0; i+1 < len(c.data); i += 2 {
			r := le.Uint16(c.data[i:])
			words[r>>6] |= 1 << (r & 63)
		}
	case formRuns:
		for i := 0; i+3 < len(c.data); i += 4 {
			words.AddRange(int(le.Uint16(c.data[i:])), int(le.Uint16(c.data[i+2:]))+1)
		}
	default:
		for i := range min(len(words), bitmapBytes/8) {
			words[i] |= le.Uint64(c.data[8*i:])
		}
	}
}
