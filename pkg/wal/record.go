package wal

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Kind is what a record does.
type Kind uint8

// Kinds of records. The numbers are in every log; they never change.
const (
	// Fence starts an owner's epoch. It carries nothing else.
	Fence Kind = 1 + iota
	// Insert adds the rows of Parts.
	Insert
	// Delete kills versions of Keys: those older than TS, not newer than ReadTS and in Partition, where these are set.
	Delete
	// Upsert kills versions of Keys older than TS, in Partition where it is set, and adds the rows of Parts.
	Upsert
	// Seal cuts a shard: its rows and deletes up to this record belong to the segments named in Seal.
	Seal
	// Moved ends the log: what follows is in the log that the catalog names next.
	Moved
	kindEnd
)

var kindNames = [...]string{Fence: "fence", Insert: "insert", Delete: "delete", Upsert: "upsert", Seal: "seal", Moved: "moved"}

func (k Kind) String() string {
	if k == 0 || k >= kindEnd {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// Record is one record of a log. Only the fields that its kind uses are set.
type Record struct {
	// Epoch is the owner's, Seq the place among the owner's records, from 1; a fence has seq 0. The Writer sets both.
	Epoch, Seq uint64
	Kind       Kind
	TS         tso.Timestamp // 0 for a fence
	Collection int64
	Shard      int32
	// SchemaVersion is that of the rows.
	SchemaVersion int32
	RequestID     [16]byte
	Parts         []Part
	Keys          []byte // schema.Keys
	Partition     int64  // of the versions that a Delete or Upsert kills: 0 means any
	ReadTS        tso.Timestamp
	Seal          []SealedSegment
}

// Part is the rows of a record that go to one partition.
type Part struct {
	Partition int64
	Rows      []byte // schema.Batch
}

// SealedSegment names the segment that a seal makes of one partition's rows.
type SealedSegment struct {
	Partition, Segment int64
}

// Accepted is one entry that counts. Records alias the entry's bytes and are not to be written to.
type Accepted struct {
	Position mq.Position
	Records  []Record
}

// Start is a place to read from: behind Position, where the last accepted record has (Epoch, Seq). The zero Start is
// the beginning of a log.
type Start struct {
	Position   mq.Position
	Epoch, Seq uint64
}
