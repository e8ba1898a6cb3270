package calibrate

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
)

// Ks are the numbers of results that recall is measured for.
var ks = [...]int{10, 100}

// Point is one step of a curve.
type Point struct {
	Effort int
	Recall float32 // see lower: rather too low than too high
}

// Table holds a curve for k=10 and one for k=100. Efforts and recalls ascend. The zero value knows nothing.
type Table struct {
	curves [len(ks)][]Point
}

// Empty reports whether nothing was measured.
func (t *Table) Empty() bool { return len(t.curves[0]) == 0 }

// Effort returns the least effort at which searches for k rows reached recall target, interpolated between steps. Between
// k=10 and k=100 it is interpolated by the logarithm of k, beyond them the nearer curve counts, with the effort growing in
// proportion above 100. When no step reached the target, the last one's effort is returned, doubled. An empty table gives
// false.
func (t *Table) Effort(k int, target float64) (int, bool) {
	if t.Empty() {
		return 0, false
	}
	low := effortAt(t.curves[0], target)
	if k <= ks[0] || len(t.curves[1]) == 0 {
		return int(math.Ceil(low * max(1, float64(k)/float64(ks[0])))), true
	}
	high := effortAt(t.curves[1], target)
	if k >= ks[1] {
		return int(math.Ceil(high * float64(k) / float64(ks[1]))), true
	}
	share := math.Log(float64(k)/float64(ks[0])) / math.Log(float64(ks[1])/float64(ks[0]))
	return int(math.Ceil(low * math.Pow(high/low, share))), true
}

// Recall is the reverse of Effort: the recall that searches for k rows reach at an effort, 0 when nothing is known.
func (t *Table) Recall(k, effort int) float64 {
	if t.Empty() {
		return 0
	}
	low, high := 0.0, 7.6 // of -log(missed share), up to what missedShare tells from 1
	for range 12 {
		mid := (low + high) / 2
		if need, _ := t.Effort(k, 1-math.Exp(-mid)); need <= effort {
			low = mid
		} else {
			high = mid
		}
	}
	return 1 - math.Exp(-low)
}

// effortAt interpolates the logarithm of the effort over that of the share missed, in which curves are nearly straight.
func effortAt(curve []Point, target float64) float64 {
	last := curve[len(curve)-1]
	for i, p := range curve {
		if float64(p.Recall) < target {
			continue
		}
		if i == 0 || p.Recall == curve[i-1].Recall {
			return float64(p.Effort)
		}
		from := curve[i-1]
		share := (missed(from.Recall) - missedShare(target)) / (missed(from.Recall) - missed(p.Recall))
		return float64(from.Effort) * math.Pow(float64(p.Effort)/float64(from.Effort), min(1, max(0, share)))
	}
	return 2 * float64(last.Effort)
}

func missed(recall float32) float64      { return missedShare(float64(recall)) }
func missedShare(recall float64) float64 { return math.Log(1.0005 - min(1, recall)) }

// maxPoints bounds the steps of a curve in a file.
const maxPoints = 64

// Encode returns the table as it stands in files, little-endian: for each of k=10 and k=100 the number of steps, u32, and
// for each step effort, u32, and recall, f32.
func (t *Table) Encode() []byte {
	var b []byte
	le := binary.LittleEndian
	for _, curve := range t.curves {
		b = le.AppendUint32(b, uint32(len(curve)))
		for _, p := range curve {
			b = le.AppendUint32(b, uint32(p.Effort))
			b = le.AppendUint32(b, math.Float32bits(p.Recall))
		}
	}
	return b
}

// Decode is the reverse of Encode. No bytes at all are an empty table.
func Decode(b []byte) (Table, error) {
	var t Table
	if len(b) == 0 {
		return t, nil
	}
	le := binary.LittleEndian
	for i := range t.curves {
		if len(b) < 4 || le.Uint32(b) > maxPoints || len(b) < 4+8*int(le.Uint32(b)) {
			return Table{}, corrupt("curve %d does not fit", i)
		}
		n := int(le.Uint32(b))
		b = b[4:]
		last := Point{Recall: -1}
		for range n {
			p := Point{Effort: int(le.Uint32(b)), Recall: math.Float32frombits(le.Uint32(b[4:]))}
			if p.Effort <= last.Effort || p.Effort > math.MaxInt32 || !(p.Recall >= last.Recall && p.Recall <= 1) {
				return Table{}, corrupt("effort %d with recall %g after %d with %g", p.Effort, p.Recall, last.Effort, last.Recall)
			}
			t.curves[i] = append(t.curves[i], p)
			last, b = p, b[8:]
		}
	}
	if len(b) != 0 {
		return Table{}, corrupt("%d bytes behind the curves", len(b))
	}
	return t, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: calibration: %s", vector.ErrCorrupt, fmt.Sprintf(format, args...))
}
