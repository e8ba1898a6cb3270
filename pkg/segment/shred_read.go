package segment

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// lazyPath is the values of a JSON path, read at the first filter that asks for them.
type lazyPath struct {
	seg  *Sealed
	meta *pathMeta
	mu   sync.Mutex // guards path; held while reading
	path *plan.Path
}

// openPaths checks what the file says about its paths.
func (s *Sealed) openPaths(paths []pathMeta) error {
	for i := range paths {
		m := &paths[i]
		docs := s.columns[m.Field]
		ok := docs != nil && docs.meta.Type == schema.JSON && m.Column.Rows > 0 && m.Column.Rows <= s.file.rows &&
			m.Column.Nulls == 0 && m.Rest >= 0 && m.Rest <= s.file.rows
		if x := m.Index; x != nil {
			ok = ok && x.Rows == m.Column.Rows && x.Values != nil && x.Values.Nulls == 0 && x.Values.Rows > 0 && x.Values.Rows <= x.Rows
		}
		if !ok {
			return corrupt(s.file.name, "path %q of field %d", m.Steps, m.Field)
		}
		s.paths[pathKey(m.Field, m.Steps)] = &lazyPath{seg: s, meta: m}
	}
	return nil
}

// pathKey names a path among all of a segment.
func pathKey(field int64, steps []string) string {
	key := binary.AppendVarint(nil, field)
	for _, s := range steps {
		key = append(binary.AppendUvarint(key, uint64(len(s))), s...)
	}
	return string(key)
}

// Path implements plan.Access.
func (s *Sealed) Path(field int64, steps []string) (*plan.Path, error) {
	l := s.paths[pathKey(field, steps)]
	if l == nil {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path != nil {
		return l.path, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, loadTimeout)
	defer cancel()
	v, err := s.readPath(ctx, l.meta)
	if err != nil {
		return nil, err
	}
	p, err := plan.NewPath(v, s.Rows())
	if err != nil {
		return nil, corrupt(s.file.name, "path %q of field %d: %v", steps, field, err)
	}
	size := columnBytes(v.Values) + int64(12*len(v.Present)+8*len(v.Ints)+4*len(v.Rest))
	if rows, ok := v.Postings.(*postings); ok {
		size += int64(len(rows.raw) + 2*l.meta.Column.Rows)
	}
	s.bytes.Add(size)
	if v.Docs != nil {
		s.bytes.Add(columnBytes(v.Docs))
	}
	l.path = p
	return p, nil
}

func (s *Sealed) readPath(ctx context.Context, m *pathMeta) (v plan.PathValues, err error) {
	n, words := m.Column.Rows, 0
	size := 4 * m.Rest
	if n < s.Rows() {
		words = (s.Rows() + 63) / 64
	}
	flags := 0
	if m.Ints {
		flags = (n + 63) / 64
	}
	raw, err := s.file.exact(ctx, secPath, m.Column.Field, size+8*(words+flags))
	if err != nil {
		return v, err
	}
	if words > 0 {
		v.Present = bitset.Set(wordsOf[uint64](raw[:8*words]))
		if tail := s.Rows() % 64; tail != 0 && v.Present[words-1]>>tail != 0 {
			return v, corrupt(s.file.name, "a path of field %d has more rows than the segment", m.Field)
		}
	}
	if flags > 0 {
		v.Ints = bitset.Set(wordsOf[uint64](raw[8*words : 8*(words+flags)]))
	}
	v.Rest = wordsOf[uint32](raw[8*(words+flags):])
	for i, r := range v.Rest {
		if int(r) >= s.Rows() || (i > 0 && r <= v.Rest[i-1]) {
			return v, corrupt(s.file.name, "a path of field %d names row %d", m.Field, r)
		}
	}
	if m.Index != nil {
		var rows *postings
		if rows, v.Values, err = s.readValues(ctx, m.Index, n); err != nil {
			return v, err
		}
		v.Postings = rows
	} else if v.Values, err = s.file.decodeColumn(ctx, &m.Column, s.zstd); err != nil {
		return v, err
	}
	if v.Values.Type.IsInt() {
		v.Values.Type = schema.Int64 // in fewer bytes
	}
	if len(v.Rest) > 0 {
		v.Docs, err = s.columns[m.Field].some(v.Rest, len(v.Rest))
	}
	return v, err
}
