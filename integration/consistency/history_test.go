package consistency

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// step is one operation of a hand-made history; to 0 means that it was never answered.
type step struct {
	kind     Kind
	version  int64 // written, or seen
	from, to int64
}

// TestCheckerHasTeeth: the checker accepts what a register can do and refuses each way of losing, hiding, reviving and
// doubling a row.
func TestCheckerHasTeeth(t *testing.T) {
	cases := []struct {
		name  string
		ok    bool
		steps []step
	}{
		{"in order", true, []step{{Upsert, 1, 0, 1}, {Read, 1, 2, 3}, {Delete, 0, 4, 5}, {Read, 0, 6, 7}}},
		{"overlapping either way", true, []step{{Upsert, 1, 0, 1}, {Upsert, 2, 2, 6}, {Read, 2, 3, 4}, {Read, 2, 5, 7}}},
		{"stale read", false, []step{{Upsert, 1, 0, 1}, {Upsert, 2, 2, 3}, {Read, 1, 4, 5}}},
		{"lost write", false, []step{{Upsert, 1, 0, 1}, {Read, 0, 2, 3}}},
		{"back in time", false, []step{{Upsert, 1, 0, 1}, {Upsert, 2, 2, 9}, {Read, 2, 3, 4}, {Read, 1, 5, 6}}},
		{"delete undone", false, []step{{Upsert, 1, 0, 1}, {Delete, 0, 2, 3}, {Read, 0, 4, 5}, {Read, 1, 6, 7}}},
		{"doubled", false, []step{{Upsert, 1, 0, 1}, {Read, Doubled, 2, 3}}},
		{"unanswered, took effect late", true, []step{{Upsert, 1, 0, 1}, {Upsert, 2, 2, 0}, {Read, 1, 3, 4}, {Read, 2, 5, 6}}},
		{"unanswered, never seen", true, []step{{Upsert, 1, 0, 1}, {Upsert, 2, 2, 0}, {Read, 1, 3, 4}}},
		{"unanswered, took effect twice", false, []step{{Upsert, 1, 0, 1}, {Upsert, 2, 2, 0}, {Read, 2, 3, 4}, {Upsert, 3, 5, 6}, {Read, 3, 7, 8}, {Read, 2, 9, 10}}},
		{"unanswered delete", true, []step{{Upsert, 1, 0, 1}, {Delete, 0, 2, 0}, {Read, 1, 3, 4}, {Read, 0, 5, 6}}},
		{"unanswered delete undone", false, []step{{Upsert, 1, 0, 1}, {Delete, 0, 2, 0}, {Read, 0, 3, 4}, {Read, 1, 5, 6}}},
		{"a version that nobody wrote", false, []step{{Upsert, 1, 0, 1}, {Read, 7, 2, 3}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := NewHistory()
			for i, s := range c.steps {
				in := Input{Kind: s.kind, Key: 5, Version: s.version}
				op := porcupine.Operation{ClientId: i, Input: in, Call: s.from, Return: s.to, Output: s.version}
				if s.to == 0 {
					h.unknown = append(h.unknown, op)
				} else {
					h.done = append(h.done, op)
				}
			}
			err := h.Check("hand-made", 10*time.Second)
			if (err == nil) != c.ok {
				t.Fatalf("Check: %v, want ok = %v", err, c.ok)
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), "keys [5]") {
				t.Errorf("the key is not named: %v", err)
			}
			_, picture, _ := strings.Cut(err.Error(), "see ")
			if _, statErr := os.Stat(picture); statErr != nil {
				t.Errorf("no picture: %v", statErr)
			}
			_ = os.RemoveAll(filepath.Dir(picture))
		})
	}
}
