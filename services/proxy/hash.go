package proxy

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/gyr-db/gyr/pkg/schema"
)

// Where a row lives is fixed for ever by these functions: a key that hashed to another shard later could not be deleted
// or replaced. Golden values in the tests keep them as they are.
//
//	shard     = xxhash64(key) mod shards              key: int64 as 8 bytes little endian, or the bytes of a string
//	partition = xxhash64("p" + value) mod partitions  in the order of the collection's partitions
//
// The leading byte makes the two independent when the same value is used for both.

func hashInt(v int64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(v))
	return xxhash.Sum64(b[:])
}

func shardOfInt(key int64, shards int) int     { return int(hashInt(key) % uint64(shards)) }
func shardOfString(key string, shards int) int { return int(xxhash.Sum64String(key) % uint64(shards)) }

// shardsOf returns the shard of each key.
func shardsOf(k schema.Keys, shards int) []int {
	out := make([]int, 0, k.Len())
	for _, v := range k.Ints {
		out = append(out, shardOfInt(v, shards))
	}
	for _, v := range k.Strings {
		out = append(out, shardOfString(v, shards))
	}
	return out
}

// keyPartition returns the number of the partition that row i of a partition key column belongs to.
func keyPartition(c *schema.Column, i, partitions int) int {
	h := xxhash.New()
	_, _ = h.Write([]byte{'p'}) // never fails
	if c.Type == schema.VarChar {
		_, _ = h.WriteString(c.Strings[i])
	} else {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(c.Ints[i]))
		_, _ = h.Write(b[:])
	}
	return int(h.Sum64() % uint64(partitions))
}
