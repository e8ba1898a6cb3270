package woodpecker

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gyr-db/gyr/pkg/mq"
)

func FuzzFileHeader(f *testing.F) {
	f.Add(fileHeader{number: 3, base: 9, prevEnd: 300, salt: 5, uuid: "a uuid"}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeFileHeader(b)
		if err == nil && !bytes.Equal(h.encode()[:50+len(h.uuid)], b[:50+len(h.uuid)]) {
			t.Errorf("%+v encodes to other bytes", h)
		}
	})
}

func FuzzGroup(f *testing.F) {
	f.Add(appendGroup(nil, 0, group{position: 1, durable: fileHeaderSize, data: []byte("data")}))
	f.Add(appendGroup(nil, 0, group{flags: flagMark, position: 1, durable: 300}))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, ok := decodeGroup(b, 0)
		if !ok {
			return
		}
		again := appendGroup(nil, 0, g)
		same, ok := decodeGroup(again, 0)
		if !ok || same.position != g.position || !bytes.Equal(same.data, g.data) {
			t.Errorf("%+v became %+v", g, same)
		}
	})
}

// FuzzScan: whatever a file holds, a scan ends, and what it keeps decodes to the same groups.
func FuzzScan(f *testing.F) {
	h := fileHeader{number: 1, base: 1, salt: 1}
	b := h.encode()
	for i := range 3 {
		b = appendGroup(b, h.salt, group{position: mq.Position(i + 1), durable: int64(len(b)), data: []byte("entry")})
	}
	f.Add(b, int64(-1))
	f.Add(b[:len(b)-3], int64(-1))
	f.Add(append(b[:len(b)-3:len(b)-3], b[fileHeaderSize:]...), int64(-1))
	f.Add(b, int64(len(b)))
	f.Fuzz(func(t *testing.T, b []byte, limit int64) {
		if limit < -1 {
			return
		}
		s, err := scan("f", b, h, limit)
		if err != nil {
			if !errors.Is(err, mq.ErrCorrupt) {
				t.Errorf("error without a kind: %v", err)
			}
			return
		}
		if s.end > int64(len(b)) && s.end != fileHeaderSize || s.stated > s.end {
			t.Errorf("%d bytes: %+v", len(b), s)
		}
		again, err := scan("f", b[:min(s.end, int64(len(b)))], h, -1)
		if err != nil || len(again.offsets) != len(s.offsets) {
			t.Errorf("kept %d groups, then %d, %v", len(s.offsets), len(again.offsets), err)
		}
	})
}

func FuzzIdentity(f *testing.F) {
	f.Add(encodeID(mq.LogID{Name: "name", UUID: "uuid"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := decodeID(b); err == nil && !bytes.Equal(encodeID(id), b) {
			t.Errorf("%+v encodes to other bytes", id)
		}
	})
}
