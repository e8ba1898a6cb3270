package mem_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/objstore/objtest"
)

func TestConformance(t *testing.T) {
	objtest.Run(t, objtest.Suite{New: func(*testing.T) objstore.Store { return mem.New() }})
}

func TestLimit(t *testing.T) {
	s := mem.New()
	s.SetLimit(10)
	put := func(key string, n int) error {
		return s.Put(t.Context(), key, bytes.NewReader(make([]byte, n)), int64(n), objstore.PutOptions{})
	}
	if err := put("a", 8); err != nil {
		t.Fatal(err)
	}
	if err := put("b", 3); !errors.Is(err, objstore.ErrFull) {
		t.Errorf("beyond the limit: %v", err)
	}
	if err := put("a", 10); err != nil {
		t.Errorf("what is overwritten does not count: %v", err)
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := put("b", 3); err != nil {
		t.Errorf("after Delete: %v", err)
	}
}
