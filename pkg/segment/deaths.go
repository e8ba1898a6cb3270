package segment

import (
	"math"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/schema"
)

// deaths holds per row the timestamp of the earliest delete that concerns it.
//
// One writer at a time, any number of readers beside it, without a lock between them: a slot only falls (0 counts as
// infinity), and whoever reads at T has made sure beforehand that every delete up to T was applied, so a slot that
// changes while it is read can only change between two values above T.
type deaths struct {
	n       int
	mu      sync.Mutex                      // one writer
	slots   atomic.Pointer[[]atomic.Uint64] // nil until the first death
	version atomic.Uint64                   // grows with every change
	first   atomic.Uint64                   // earliest timestamp in slots, MaxUint64 when none
	last    atomic.Uint64                   // an upper bound of the timestamps in slots
}

func newDeaths(n int) *deaths {
	d := &deaths{n: n}
	d.first.Store(math.MaxUint64)
	return d
}

// at returns row i's death, 0 when it lives.
func (d *deaths) at(i int) uint64 {
	if s := d.slots.Load(); s != nil {
		return (*s)[i].Load()
	}
	return 0
}

// kill notes that row i died at ts and reports whether that is news. The caller holds mu.
func (d *deaths) kill(i int, ts uint64) bool {
	s := d.slots.Load()
	if s == nil {
		fresh := make([]atomic.Uint64, d.n)
		s = &fresh
		d.slots.Store(s)
	}
	slot := &(*s)[i]
	if old := slot.Load(); old != 0 && old <= ts {
		return false
	}
	// The bounds move before the slot, so that no reader trusts bounds that exclude what a slot says.
	if ts < d.first.Load() {
		d.first.Store(ts)
	}
	if ts > d.last.Load() {
		d.last.Store(ts)
	}
	slot.Store(ts)
	d.version.Add(1)
	return true
}

func (d *deaths) bytes() int64 {
	if d.slots.Load() == nil {
		return 0
	}
	return int64(8 * d.n)
}

// concerns reports whether entry i of the list, which has the row's key, kills a row of timestamp ts.
func (d *Deletes) concerns(i int, ts uint64) bool {
	if ts >= d.TS[i] {
		return false
	}
	return d.ReadTS == nil || d.ReadTS[i] == 0 || ts <= d.ReadTS[i]
}

// applies reports whether entry i is behind a position and meant for a partition.
func (d *Deletes) applies(i int, behind uint64, partition int64) bool {
	if d.Position != nil && d.Position[i] <= behind {
		return false
	}
	return d.Partition == nil || d.Partition[i] == 0 || d.Partition[i] == partition
}

// keyIndex finds rows by key among sorted keys.
type keyIndex struct {
	keys   schema.Keys
	filter blockFilter
}

// rows returns the range of rows with key i of want.
func (k *keyIndex) rows(want schema.Keys, i int) (lo, hi int) {
	if (want.Strings != nil) != (k.keys.Strings != nil) || !k.filter.mayHave(hashKey(want, i)) {
		return 0, 0
	}
	n := k.keys.Len()
	lo = sort.Search(n, func(r int) bool { return compareKeys(k.keys, r, want, i) >= 0 })
	for hi = lo; hi < n && compareKeys(k.keys, hi, want, i) == 0; hi++ {
	}
	return lo, hi
}

// gatherKeys returns the keys of rows.
func gatherKeys(k schema.Keys, rows []uint32) schema.Keys {
	var out schema.Keys
	if k.Strings != nil {
		out.Strings = make([]string, len(rows))
		for i, r := range rows {
			out.Strings[i] = k.Strings[r]
		}
		return out
	}
	out.Ints = make([]int64, len(rows))
	for i, r := range rows {
		out.Ints[i] = k.Ints[r]
	}
	return out
}
