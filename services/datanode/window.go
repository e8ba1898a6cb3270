package datanode

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/pkg/wal"
)

// requestID names a request; a retry carries the same. The zero value names none.
type requestID = [16]byte

// window remembers the request ids and the keys of recent writes of one log. Both are bounded by count; what is
// forgotten raises the timestamp from which on the window is complete.
type window struct {
	maxRequests, maxKeys int

	requests     map[requestID]*outcome
	requestOrder fifo[requestID]
	requestsFrom tso.Timestamp // ids of records above it are all known

	keys     map[uint64]tso.Timestamp // by hash: a collision refuses a write that might have gone on, no more
	keyOrder fifo[keyWrite]
	keysFrom tso.Timestamp
}

type keyWrite struct {
	hash uint64
	ts   tso.Timestamp
}

// outcome is what became of a request: valid after done.
type outcome struct {
	ts   tso.Timestamp
	done chan struct{}
	ack  wal.Ack
	err  error
}

func newWindow(cfg *Config, from tso.Timestamp) *window {
	return &window{
		maxRequests: cfg.WindowRequests, maxKeys: cfg.WindowKeys, requestsFrom: from, keysFrom: from,
		requests: map[requestID]*outcome{}, keys: map[uint64]tso.Timestamp{},
	}
}

// begin notes a request on its way and returns its outcome, to be settled.
func (w *window) begin(id requestID, ts tso.Timestamp) *outcome {
	o := &outcome{ts: ts, done: make(chan struct{})}
	if id == (requestID{}) {
		return o
	}
	w.requests[id] = o
	w.requestOrder.push(id)
	for w.requestOrder.len() > w.maxRequests {
		old := w.requestOrder.pop()
		if gone := w.requests[old]; gone != nil {
			w.requestsFrom = max(w.requestsFrom, gone.ts)
			delete(w.requests, old)
		}
	}
	return o
}

// forget drops a request that is known not to be in the log.
func (w *window) forget(id requestID, o *outcome) {
	if w.requests[id] == o {
		delete(w.requests, id)
	}
}

// tooOld says whether a request that carries its time (a UUID of version 7) may have been forgotten.
func (w *window) tooOld(id requestID) bool {
	if id[6]>>4 != 7 || w.requestsFrom == 0 {
		return false
	}
	var ms [8]byte
	copy(ms[2:], id[:6])
	return int64(binary.BigEndian.Uint64(ms[:])) < tso.UnixMS(w.requestsFrom)
}

// conflict says why a write that read its keys at readTS must be done again.
func (w *window) conflict(hashes []uint64, readTS tso.Timestamp) error {
	if readTS < w.keysFrom {
		return errs.New(errs.WriteConflict, "the rows were read at %d, before what is remembered of recent writes (from %d)", readTS, w.keysFrom)
	}
	for _, h := range hashes {
		if ts := w.keys[h]; ts > readTS {
			return errs.New(errs.WriteConflict, "a row read at %d was written at %d", readTS, ts)
		}
	}
	return nil
}

// wrote notes that keys are written at ts.
func (w *window) wrote(hashes []uint64, ts tso.Timestamp) {
	for _, h := range hashes {
		w.keys[h] = ts
		w.keyOrder.push(keyWrite{h, ts})
	}
	for w.keyOrder.len() > w.maxKeys {
		old := w.keyOrder.pop()
		w.keysFrom = max(w.keysFrom, old.ts)
		if w.keys[old.hash] == old.ts {
			delete(w.keys, old.hash)
		}
	}
}

// hashKeys appends a hash of each key of a shard.
func hashKeys(dst []uint64, id shardID, keys schema.Keys) []uint64 {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], uint64(id.collection))
	binary.LittleEndian.PutUint64(b[8:], uint64(id.shard))
	for _, k := range keys.Ints {
		binary.LittleEndian.PutUint64(b[16:], uint64(k))
		dst = append(dst, xxhash.Sum64(b[:]))
	}
	if len(keys.Strings) == 0 {
		return dst
	}
	seed := xxhash.Sum64(b[:16])
	for _, k := range keys.Strings {
		dst = append(dst, xxhash.Sum64String(k)*0x9e3779b97f4a7c15^seed)
	}
	return dst
}

// fifo is a queue whose memory is reused.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) push(v T) { f.items = append(f.items, v) }

func (f *fifo[T]) pop() T {
	v := f.items[f.head]
	f.head++
	if f.head > 1024 && 2*f.head > len(f.items) {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	return v
}
