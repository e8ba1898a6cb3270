package segment

import (
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/index"
)

// indexKey names an index of a segment: the one that was set for a field, or with a metric the flat scan that serves a
// field until one is set.
type indexKey struct {
	field  int64
	metric string
}

// indexHandle counts the users of an index; the last one closes it.
type indexHandle struct {
	idx  index.Index
	refs atomic.Int64
}

func newIndexHandle(idx index.Index) *indexHandle {
	h := &indexHandle{idx: idx}
	h.refs.Store(1)
	return h
}

func (h *indexHandle) release() {
	if h.refs.Add(-1) == 0 {
		_ = h.idx.Close() // memory only; there is nobody who could act on it
	}
}

// SetIndex makes idx the index of a field and takes it over. Searches that run on an older one finish on it; then it is
// closed. A nil idx removes the index: searches scan.
func (s *Sealed) SetIndex(fieldID int64, idx index.Index) {
	key := indexKey{field: fieldID}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.indexes[key]; old != nil {
		delete(s.indexes, key)
		old.release()
	}
	switch {
	case idx == nil:
	case s.refs.Load() <= 0:
		_ = idx.Close()
	default:
		s.indexes[key] = newIndexHandle(idx)
	}
}

// HasIndex reports whether an index was set for a field.
func (s *Sealed) HasIndex(fieldID int64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.indexes[indexKey{field: fieldID}] != nil
}

// acquireIndex returns the index to search a field with, and whether it scans. The caller releases it.
func (s *Sealed) acquireIndex(field int64, metric string) (h *indexHandle, flat bool, err error) {
	s.mu.RLock()
	h = s.indexes[indexKey{field: field}]
	if h != nil {
		h.refs.Add(1)
	}
	s.mu.RUnlock()
	if h != nil {
		return h, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := indexKey{field: field, metric: metric}
	if h = s.indexes[key]; h == nil {
		v := s.vectors[field]
		idx, err := index.Flat(index.Spec{Type: index.TypeFlat, Metric: metric, Dim: v.dim, Elem: v.elem}, v.vectors)
		if err != nil {
			return nil, false, err
		}
		h = newIndexHandle(idx)
		s.indexes[key] = h
	}
	h.refs.Add(1)
	return h, true, nil
}
