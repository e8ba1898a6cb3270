package segment

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/schema"
)

// maxVectorBytes bounds one vector of a file that is opened.
const maxVectorBytes = 1 << 18

func (s *Sealed) open(ctx context.Context) error {
	var err error
	if s.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20), zstd.WithDecoderLowmem(true)); err != nil {
		return err
	}
	if s.file, err = openColumns(ctx, s.store, s.cfg.Dir+"/"+ColumnsName); err != nil {
		return err
	}
	if err := s.openMeta(ctx); err != nil {
		return err
	}
	if err := s.openRows(ctx); err != nil {
		return err
	}
	if err := s.openVectors(ctx); err != nil {
		return err
	}
	if !s.file.whole {
		s.file.head = nil
	}
	return nil
}

func (s *Sealed) openMeta(ctx context.Context) error {
	raw, err := s.file.section(ctx, secMeta, 0)
	if err != nil {
		return err
	}
	var meta fileMeta
	if err := json.Unmarshal(raw, &meta); err != nil {
		return corrupt(s.file.name, "meta section: %v", err)
	}
	for i := range meta.Columns {
		m := &meta.Columns[i]
		if m.Type.IsVector() {
			form, err := shapeOf(m.Type, m.Dim)
			if err != nil || form.size > maxVectorBytes {
				return corrupt(s.file.name, "field %d holds %s of dimension %d", m.Field, m.Type, m.Dim)
			}
			s.vectors[m.Field] = &vectorField{shape: form}
		}
		s.columns[m.Field] = &lazyColumn{seg: s, meta: m}
	}
	return errors.Join(s.openPaths(meta.Paths), s.openScalars())
}

// openRows reads what every read and delete needs: keys, timestamps, known deaths.
func (s *Sealed) openRows(ctx context.Context) error {
	n := s.file.rows
	raw, err := s.file.exact(ctx, secTimestamps, 0, 8*n)
	if err != nil {
		return err
	}
	s.ts = wordsOf[uint64](raw)
	pk, err := s.pkColumn()
	if err != nil {
		return err
	}
	s.keys.keys = schema.KeysOf(pk)
	filter, err := s.file.section(ctx, secKeyFilter, 0)
	if err != nil {
		return err
	}
	if len(filter) == 0 || len(filter)%(4*filterWords) != 0 {
		return corrupt(s.file.name, "key filter of %d bytes", len(filter))
	}
	s.keys.filter = wordsOf[uint32](filter)
	s.bytes.Add(int64(8*n + len(filter)))
	s.deaths = newDeaths(n)
	if _, ok := s.file.sections[sectionID{secDead, 0}]; !ok {
		return nil
	}
	if raw, err = s.file.exact(ctx, secDead, 0, 8*n); err != nil {
		return err
	}
	for i, ts := range wordsOf[uint64](raw) {
		if ts != 0 {
			s.deaths.kill(i, ts)
		}
	}
	return nil
}

func (s *Sealed) pkColumn() (*schema.Column, error) {
	f := s.cfg.Schema.PrimaryKey()
	if f == nil {
		return nil, errors.New("the schema has no primary key")
	}
	l := s.columns[f.ID]
	if l == nil || l.meta.Type != f.Type || l.meta.Nulls > 0 || (f.Type != schema.Int64 && f.Type != schema.VarChar) {
		return nil, corrupt(s.file.name, "no primary key column of field %d", f.ID)
	}
	return l.all()
}

func (s *Sealed) openVectors(ctx context.Context) error {
	for id, v := range s.vectors {
		m := s.columns[id].meta
		delete(s.columns, id)
		valid, err := s.file.validity(ctx, m)
		if err != nil {
			return err
		}
		raw, err := s.file.section(ctx, secVectors, id)
		if err != nil {
			return err
		}
		pages, err := parseVectorPages(s.file.name, raw, s.file.rows, valid)
		if err != nil {
			return err
		}
		v.valid, v.pages = valid, pages
		s.bytes.Add(int64(len(valid)))
		if s.cfg.NoVectors {
			continue
		}
		rows, err := s.makeRoom(id, v)
		if err != nil {
			return err
		}
		if err := loadVectors(ctx, s.store, s.parquetName(), v, rows); err != nil {
			return err
		}
		v.vectors = rows
		s.bytes.Add(rows.bytes())
	}
	return nil
}

// makeRoom returns where the vectors of a field go.
func (s *Sealed) makeRoom(field int64, v *vectorField) (rawRows, error) {
	if s.cfg.Cache != nil && s.cfg.Cold != nil && s.cfg.Cold(field) {
		return newCold(s.cfg.Cache, s.file.rows, v.shape)
	}
	return allocVectors(s.file.rows, v.shape)
}
