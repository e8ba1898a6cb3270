package fault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	rules "github.com/gyr-db/gyr/pkg/fault"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/fault"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/objstore/objtest"
)

// TestConformance: without rules the wrapper changes nothing.
func TestConformance(t *testing.T) {
	objtest.Run(t, objtest.Suite{New: func(*testing.T) objstore.Store { return fault.New(mem.New()) }})
}

func put(t *testing.T, s objstore.Store, key, body string, ifAbsent bool) error {
	t.Helper()
	return s.Put(t.Context(), key, bytes.NewReader([]byte(body)), int64(len(body)), objstore.PutOptions{IfAbsent: ifAbsent})
}

// TestLostAnswer: the object of a Put whose answer is lost is there, and the next conditional Put finds it.
func TestLostAnswer(t *testing.T) {
	s := fault.New(mem.New())
	lost := errors.New("connection reset")
	s.Add(rules.Rule{Op: fault.Put, Key: "wal/", After: true, Err: lost, Times: 1})
	if err := put(t, s, "wal/1", "x", true); !errors.Is(err, lost) {
		t.Errorf("first: %v", err)
	}
	if err := put(t, s, "wal/1", "x", true); !errors.Is(err, objstore.ErrExists) {
		t.Errorf("again: %v", err)
	}
	if n := s.Calls(fault.Put); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestErrorsAndStreams(t *testing.T) {
	s := fault.New(mem.New())
	if err := put(t, s, "a", "abcdef", false); err != nil {
		t.Fatal(err)
	}
	remove := s.Add(rules.Rule{Op: fault.Stream, Skip: 1, Err: io.ErrClosedPipe})
	r, _, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 3)); n != 3 || err != nil {
		t.Errorf("first read: %d, %v", n, err)
	}
	if _, err := r.Read(make([]byte, 3)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("second read: %v", err)
	}
	remove()
	s.Add(rules.Rule{Op: fault.ReadAt, Err: objstore.ErrFull})
	if _, err := s.ReadAt(t.Context(), "a", make([]byte, 1), 0); !errors.Is(err, objstore.ErrFull) {
		t.Errorf("ReadAt: %v", err)
	}
	s.Clear()
	s.Add(rules.Rule{BlackHole: true})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Delete(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Delete: %v", err)
	}
}
