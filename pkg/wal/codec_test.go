package wal

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func sample() []Record {
	return []Record{
		{
			Epoch: 7, Seq: 40, Kind: Insert, TS: 1 << 60, Collection: 446, Shard: 3, SchemaVersion: 2, RequestID: [16]byte{1, 15: 9},
			Parts: []Part{{Partition: 5, Rows: []byte("rows")}, {Partition: 6, Rows: bytes.Repeat([]byte{7}, 300)}},
		},
		{Epoch: 7, Seq: 41, Kind: Delete, TS: 1<<60 + 1, Collection: 446, Keys: []byte("keys"), Partition: 5, ReadTS: 99},
		{Epoch: 7, Seq: 42, Kind: Upsert, TS: 1<<60 + 2, Collection: 1, Parts: []Part{{Partition: 1, Rows: []byte{0}}}, Keys: []byte{1}},
		{Epoch: 7, Seq: 43, Kind: Seal, TS: 1<<60 + 3, Collection: 446, Shard: 3, Seal: []SealedSegment{{5, 1000}, {6, 1001}}},
		{Epoch: 7, Seq: 44, Kind: Moved, TS: 1<<60 + 4},
	}
}

func TestGroupRoundTrip(t *testing.T) {
	for _, records := range [][]Record{sample(), sample()[:1], {{Epoch: 9, Kind: Fence}}} {
		data := EncodeGroup([]byte("xx"), records)[2:]
		got, err := DecodeGroup(data)
		if err != nil || !reflect.DeepEqual(got, records) {
			t.Fatalf("got %+v, %v, want %+v", got, err, records)
		}
	}
}

func TestDecodeAliasesEntry(t *testing.T) {
	data := EncodeGroup(nil, sample())
	got, err := DecodeGroup(data)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte("rows"))
	data[at] = 'R'
	if string(got[0].Parts[0].Rows) != "Rows" {
		t.Error("the rows were copied")
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := EncodeGroup(nil, sample())
	fenceInGroup := append(sample(), Record{Kind: Fence})
	cases := map[string][]byte{
		"nothing":          nil,
		"version":          append([]byte{9}, good[1:]...),
		"flags":            append([]byte{groupVersion, 4}, good[2:]...),
		"trailing":         append(bytes.Clone(good), 0),
		"fence in a group": EncodeGroup(nil, fenceInGroup),
		"seq 0":            EncodeGroup(nil, []Record{{Epoch: 1, Kind: Insert}}),
		"unknown kind":     EncodeGroup(nil, []Record{{Epoch: 1, Seq: 1, Kind: 99}}),
		"fence with seq":   EncodeGroup(nil, []Record{{Epoch: 1, Seq: 1, Kind: Fence}}),
	}
	for n := range good {
		cases["cut"] = good[:n]
		for name, data := range cases {
			if got, err := DecodeGroup(data); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s (%d bytes): got %v, %v", name, len(data), got, err)
			}
		}
		cases = map[string][]byte{}
	}
}

func FuzzDecodeGroup(f *testing.F) {
	f.Add(EncodeGroup(nil, sample()))
	f.Add(EncodeGroup(nil, []Record{{Epoch: 3, Kind: Fence}}))
	f.Add([]byte{groupVersion, 0, 1, 1, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := DecodeGroup(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again, err := DecodeGroup(EncodeGroup(nil, records))
		if err != nil || !reflect.DeepEqual(again, records) {
			t.Fatalf("encoding what was read gives %+v, %v, want %+v", again, err, records)
		}
	})
}

func TestAcceptRule(t *testing.T) {
	type step struct {
		h    header
		want bool
	}
	fence := func(epoch uint64) header { return header{epoch: epoch, count: 1, fence: true} }
	group := func(epoch, seq uint64, n int) header { return header{epoch: epoch, seq: seq, count: n} }
	for name, steps := range map[string][]step{
		"in order":             {{fence(1), true}, {group(1, 1, 3), true}, {group(1, 4, 1), true}},
		"twice":                {{fence(1), true}, {group(1, 1, 3), true}, {group(1, 1, 3), false}, {group(1, 4, 1), true}},
		"out of order":         {{fence(1), true}, {group(1, 4, 1), false}, {group(1, 1, 3), true}, {group(1, 4, 1), true}},
		"behind a fence":       {{fence(1), true}, {group(1, 1, 1), true}, {fence(3), true}, {group(1, 2, 1), false}, {group(3, 1, 1), true}},
		"fence twice":          {{fence(3), true}, {group(3, 1, 1), true}, {fence(3), false}, {group(3, 2, 1), true}},
		"fence of old epoch":   {{fence(3), true}, {fence(2), false}, {group(3, 1, 1), true}},
		"record without fence": {{group(1, 1, 1), false}},
	} {
		t.Run(name, func(t *testing.T) {
			var a Acceptor
			for i, s := range steps {
				if got := a.accept(s.h); got != s.want {
					t.Fatalf("step %d: %+v gives %v", i, s.h, got)
				}
			}
		})
	}
}
