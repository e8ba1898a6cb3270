package index

import "github.com/gyr-db/gyr/pkg/bitset"

// FromBitmap returns the filter that allows the rows in allowed, count of them; a negative count means that they are to be
// counted. The set has room for all rows of the index, and must not change while the filter is used.
func FromBitmap(allowed bitset.Set, count int) Filter {
	if count < 0 {
		count = allowed.Count()
	}
	return &bitmapFilter{set: allowed, count: count}
}

type bitmapFilter struct {
	set   bitset.Set
	count int
}

func (f *bitmapFilter) Test(ids []uint32) uint64 {
	var mask uint64
	for i, id := range ids {
		mask |= f.set[id>>6] >> (id & 63) & 1 << i
	}
	return mask
}

func (f *bitmapFilter) Count() int { return f.count }

func (f *bitmapFilter) Bitmap() bitset.Set { return f.set }

// engineFilter shows a Filter to package vector.
type engineFilter struct{ Filter }

func (f engineFilter) Words() []uint64 { return f.Bitmap() }
