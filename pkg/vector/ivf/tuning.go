package ivf

import (
	"context"
	"encoding/binary"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/calibrate"
)

const (
	// heldRows is the number of rows that a calibration takes for queries.
	heldRows = 64
	// calibrateFrom is the number of rows from which an index is calibrated: a search of fewer may as well try hard.
	calibrateFrom = 40 * heldRows
	// tuningSize is the size of the section: the length of the table, u32, the table, and zeros.
	tuningSize = 4 + 2*(4+64*8)
	// untuned is the share of the lists that a search for a recall looks at in an index that was not calibrated.
	untuned = 0.5
)

// efforts returns the numbers of lists that a calibration tries.
func efforts(lists int) []int {
	var out []int
	for e := 1; e < lists; e = max(e+1, e*3/2) {
		out = append(out, e)
	}
	return append(out, lists)
}

// tune measures the recall of searches that look at few and at many lists, and writes it down.
func (img *Image) tune(ctx context.Context, cfg Config, rows vector.Rows) error {
	if rows.Len() < calibrateFrom {
		return nil
	}
	x, err := NewIndex(cfg.Set, img, rows)
	if err != nil {
		return err
	}
	held := calibrate.Sample(rows.Len(), heldRows)
	others := newAllBut(rows.Len(), held)
	img.table, err = calibrate.Measure(ctx, calibrate.Config{
		Set: cfg.Set, Metric: cfg.Metric, Held: held, Efforts: efforts(img.count()), Workers: cfg.Workers,
		Search: func(ctx context.Context, _ int, query []float32, k, effort int) ([]uint32, error) {
			hits, _, err := x.Search(ctx, query, Params{K: k, Probe: effort, Filter: others})
			if err != nil {
				return nil, err
			}
			ids := make([]uint32, len(hits[0]))
			for i, h := range hits[0] {
				ids[i] = h.ID
			}
			return ids, nil
		},
	}, rows)
	if err != nil {
		return err
	}
	b, table := img.file.Section(kindTuning), img.table.Encode()
	binary.LittleEndian.PutUint32(b, uint32(len(table)))
	copy(b[4:], table)
	return nil
}

// readTuning decodes the section; files may lack it.
func (img *Image) readTuning() (err error) {
	b := img.file.Section(kindTuning)
	if b == nil {
		return nil
	}
	size := binary.LittleEndian.Uint32(b)
	if size > tuningSize-4 {
		return corrupt(kindTuning, "%d bytes", size)
	}
	img.table, err = calibrate.Decode(b[4 : 4+size])
	return err
}

// probes returns how many lists a search for k rows looks at to find a share of them.
func (x *Index) probes(k int, recall float64) int {
	lists := x.img.head.lists
	if e, ok := x.img.table.Effort(k, recall); ok {
		return max(1, min(e, lists))
	}
	return max(1, int(untuned*float64(lists)))
}

// allBut is the filter that allows all rows but a few.
type allBut struct {
	words []uint64
	count int
}

func newAllBut(n int, held []uint32) *allBut {
	f := &allBut{words: make([]uint64, (n+63)/64), count: n - len(held)}
	for i := range n {
		f.words[i/64] |= 1 << (i % 64)
	}
	for _, id := range held {
		f.words[id/64] &^= 1 << (id % 64)
	}
	return f
}

func (f *allBut) Test(ids []uint32) uint64 {
	var m uint64
	for i, id := range ids {
		m |= f.words[id/64] >> (id % 64) & 1 << i
	}
	return m
}

func (f *allBut) Count() int { return f.count }

func (f *allBut) Words() []uint64 { return f.words }
