package hnsw

import (
	"encoding/binary"
	"math"

	"github.com/gyr-db/gyr/pkg/vector/internal/calibrate"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
)

// tuning is what was measured while a graph was built, to make searches cheaper: none of it is needed for a right answer.
// Its section has a fixed size, little-endian:
//
//	0 widening of high halves u32  4 spread f32  8 bytes of calibration u32  12 calibration, see package calibrate
type tuning struct {
	// widenHigh is by how much the candidates by high halves are to be widened; see sq8.Order.
	widenHigh int
	// spread is how fast distances grow with the rank; see sq8.Order. 0 means unknown.
	spread float64
	table  calibrate.Table
}

const (
	tuningSize = 1024
	tuningHead = 12
)

func (t *tuning) encode(b []byte) {
	le := binary.LittleEndian
	clear(b)
	le.PutUint32(b, uint32(t.widenHigh))
	le.PutUint32(b[4:], math.Float32bits(float32(t.spread)))
	table := t.table.Encode()
	if len(table) > len(b)-tuningHead {
		table = nil
	}
	le.PutUint32(b[8:], uint32(len(table)))
	copy(b[tuningHead:], table)
}

// decode reads a section; files of before it was there have none.
func (t *tuning) decode(b []byte) (err error) {
	t.widenHigh = 1
	if len(b) == 0 {
		return nil
	}
	le := binary.LittleEndian
	widen, spread, size := le.Uint32(b), math.Float32frombits(le.Uint32(b[4:])), le.Uint32(b[8:])
	if widen < 1 || widen > sq8.MaxWiden || !(spread >= 0 && spread <= maxSpread) || int(size) > len(b)-tuningHead {
		return corrupt(kindTuning, "widening %d, spread %g, %d bytes of calibration", widen, spread, size)
	}
	t.widenHigh, t.spread = int(widen), float64(spread)
	if t.table, err = calibrate.Decode(b[tuningHead : tuningHead+size]); err != nil {
		return imagefile.Corrupt(format().KindName(kindTuning), "%v", err)
	}
	return nil
}
