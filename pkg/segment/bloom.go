package segment

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/gyr-db/gyr/pkg/schema"
)

// blockFilter answers "surely not there" for keys: 32-byte blocks of eight words with one bit set in each, about 16
// bits per key, wrong for roughly one absent key in 1,000. One probe touches one cache line.
// (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007.)
type blockFilter []uint32

const (
	filterBitsPerKey = 16
	filterWords      = 8
)

func newBlockFilter(keys int) blockFilter {
	blocks := max(1, (keys*filterBitsPerKey+32*filterWords-1)/(32*filterWords))
	return make(blockFilter, blocks*filterWords)
}

func (f blockFilter) block(h uint64) []uint32 {
	hi, _ := bits.Mul64(h, uint64(len(f)/filterWords))
	return f[hi*filterWords : hi*filterWords+filterWords]
}

// salts are the odd multipliers of the Parquet format's split block filter; they derive the eight bit numbers from the
// lower half of a hash.
func salts() [filterWords]uint32 {
	return [filterWords]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}
}

func (f blockFilter) add(h uint64) {
	b := f.block(h)
	for i, salt := range salts() {
		b[i] |= 1 << (uint32(h) * salt >> 27)
	}
}

func (f blockFilter) mayHave(h uint64) bool {
	b := f.block(h)
	for i, salt := range salts() {
		if b[i]>>(uint32(h)*salt>>27)&1 == 0 {
			return false
		}
	}
	return true
}

// hashInt mixes an integer key so that all 64 bits depend on all of its bits.
func hashInt(k int64) uint64 {
	x := uint64(k)
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

func hashString(k string) uint64 { return xxhash.Sum64String(k) }

func hashKey(k schema.Keys, i int) uint64 {
	if k.Strings != nil {
		return hashString(k.Strings[i])
	}
	return hashInt(k.Ints[i])
}
