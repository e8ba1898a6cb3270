package segment

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/schema"
)

// rowSource gives the rows of a file to be written, in the file's order, a piece at a time.
type rowSource interface {
	timestamps() []uint64
	// dead is nil or one timestamp per row.
	dead() []uint64
	// column returns rows lo to hi of a field of the schema that is written.
	column(f *schema.Field, lo, hi int) (*schema.Column, error)
}

// Write sorts rows, given in log order, by primary key and timestamp and writes both files below dir. Fields of s that
// the batch does not have are written as their default or null. Rows of equal key and timestamp keep their order.
func Write(ctx context.Context, store objstore.Store, dir string, s *schema.Schema, rows Rows) (Info, error) {
	src, err := sortRows(s, rows)
	if err != nil {
		return Info{}, fmt.Errorf("write segment %s: %w", dir, err)
	}
	return writeFiles(ctx, store, dir, s, src, layoutOf(s, rows.Indexed))
}

// layout says how a file is laid out: rows per row group, from how many rows on it gets what makes filters cheaper, and
// the fields for which an index was asked.
type layout struct {
	step, least int
	indexed     []int64
}

func layoutOf(s *schema.Schema, indexed []int64) layout {
	return layout{step: rowGroupRows(s), least: accelRows, indexed: indexed}
}

// sortedRows is a batch with the order in which its rows go to a file.
type sortedRows struct {
	rows  Rows
	order []int
	ts    []uint64
	dts   []uint64
}

func sortRows(s *schema.Schema, rows Rows) (*sortedRows, error) {
	if rows.Batch == nil || len(rows.TS) != rows.Batch.N || (rows.Dead != nil && len(rows.Dead) != rows.Batch.N) {
		return nil, errors.New("rows and timestamps differ in number")
	}
	pk := rows.Batch.Column(s.PrimaryKey().ID)
	if pk == nil {
		return nil, errors.New("rows without primary key")
	}
	for _, c := range rows.Batch.Columns {
		if err := c.Check(); err != nil {
			return nil, err
		}
		if c.N != rows.Batch.N {
			return nil, fmt.Errorf("field %d has %d rows instead of %d", c.Field, c.N, rows.Batch.N)
		}
	}
	out := &sortedRows{rows: rows, order: make([]int, rows.Batch.N)}
	for i := range out.order {
		out.order[i] = i
	}
	keys := schema.KeysOf(pk)
	slices.SortStableFunc(out.order, func(a, b int) int {
		return cmp.Or(compareKeys(keys, a, keys, b), cmp.Compare(rows.TS[a], rows.TS[b]))
	})
	for _, i := range out.order {
		out.ts = append(out.ts, rows.TS[i])
		if rows.Dead != nil {
			out.dts = append(out.dts, rows.Dead[i])
		}
	}
	return out, nil
}

func compareKeys(a schema.Keys, i int, b schema.Keys, j int) int {
	if a.Strings != nil {
		return cmp.Compare(a.Strings[i], b.Strings[j])
	}
	return cmp.Compare(a.Ints[i], b.Ints[j])
}

func (r *sortedRows) timestamps() []uint64 { return r.ts }

func (r *sortedRows) dead() []uint64 { return r.dts }

func (r *sortedRows) column(f *schema.Field, lo, hi int) (*schema.Column, error) {
	c := r.rows.Batch.Column(f.ID)
	if c == nil {
		return missing(f, hi-lo), nil
	}
	return gather(c, r.order[lo:hi]), nil
}

// fileWriter writes the two files of a segment.
type fileWriter struct {
	layout
	schema  *schema.Schema
	src     rowSource
	rows    int
	dead    bool
	parquet *spool
	columns *spool
	zstd    *zstd.Encoder
	enc     []*columnEncoder // per field
	extra   int64            // columns that are no field's
	keys    schema.Keys      // of all rows
}

func writeFiles(ctx context.Context, store objstore.Store, dir string, s *schema.Schema, src rowSource, l layout) (Info, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return Info{}, err
	}
	w := &fileWriter{schema: s, src: src, rows: len(src.timestamps()), layout: l, parquet: &spool{}, columns: &spool{}, zstd: z}
	defer w.parquet.close()
	defer w.columns.close()
	w.dead = slices.ContainsFunc(src.dead(), func(ts uint64) bool { return ts != 0 })
	info, err := w.run(ctx)
	if err == nil {
		err = w.parquet.put(ctx, store, dir+"/"+ParquetName)
	}
	if err == nil {
		err = w.columns.put(ctx, store, dir+"/"+ColumnsName)
	}
	if err != nil {
		return Info{}, fmt.Errorf("write segment %s: %w", dir, err)
	}
	info.Bytes = w.parquet.size + w.columns.size
	return info, nil
}

func (w *fileWriter) run(ctx context.Context) (Info, error) {
	if err := w.writeRows(ctx); err != nil {
		return Info{}, err
	}
	info := Info{Rows: w.rows}
	if ts := w.src.timestamps(); len(ts) > 0 {
		info.MinTS, info.MaxTS = slices.Min(ts), slices.Max(ts)
	}
	return info, w.writeColumns(info)
}

// writeRows writes the Parquet file and feeds the columns' encoders.
func (w *fileWriter) writeRows(ctx context.Context) error {
	pw, err := newParquetWriter(w.parquet, w.schema, w.dead)
	if err != nil {
		return err
	}
	for i := range w.schema.Fields {
		e := newColumnEncoder(&w.schema.Fields[i], w.zstd)
		if w.rows >= w.least {
			e.few = newFewValues(&w.schema.Fields[i])
		}
		w.enc = append(w.enc, e)
	}
	for lo := 0; lo < w.rows; lo += w.step {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.rowGroup(pw, lo, min(lo+w.step, w.rows)); err != nil {
			return err
		}
	}
	return pw.close()
}

func (w *fileWriter) rowGroup(pw *parquetWriter, lo, hi int) error {
	for i := range w.schema.Fields {
		f := &w.schema.Fields[i]
		c, err := w.src.column(f, lo, hi)
		if err != nil {
			return err
		}
		if !f.Nullable && c.Valid != nil && slices.Contains(c.Valid, false) {
			return fmt.Errorf("field %s is not nullable and has a null", f.Name)
		}
		if f.PrimaryKey {
			w.keys.Ints = append(w.keys.Ints, c.Ints...)
			w.keys.Strings = append(w.keys.Strings, c.Strings...)
		}
		w.enc[i].add(c)
		if err := pw.column(i, c, f.Nullable); err != nil {
			return err
		}
	}
	n := len(w.schema.Fields)
	if err := pw.stamps(n, w.src.timestamps()[lo:hi]); err != nil {
		return err
	}
	if w.dead {
		if err := pw.stamps(n+1, w.src.dead()[lo:hi]); err != nil {
			return err
		}
	}
	return pw.endRowGroup()
}

// rowGroupRows chooses the rows per row group: about rowGroupBytes of vectors.
func rowGroupRows(s *schema.Schema) int {
	size := 8
	for i := range s.Fields {
		size += max(16, s.Fields[i].Type.RowBytes(s.Fields[i].Dim))
	}
	return min(max(rowGroupBytes/size, minRowGroup), maxRowGroup)
}

// writeColumns writes columns.gyrc from the encoders and the finished Parquet file.
func (w *fileWriter) writeColumns(info Info) error {
	body := &spool{}
	defer body.close()
	out := &container{w: body}
	meta := fileMeta{Schema: *w.schema}
	for i, e := range w.enc {
		if err := e.finish(out); err != nil {
			return err
		}
		if e.meta.Type.IsVector() {
			if err := w.vectorSection(out, i, e); err != nil {
				return err
			}
		}
	}
	if err := w.accelerate(out, &meta); err != nil {
		return err
	}
	for _, e := range w.enc {
		meta.Columns = append(meta.Columns, e.meta)
	}
	js, err := meta.encode()
	if err != nil {
		return err
	}
	filter := newBlockFilter(w.rows)
	for i := range w.rows {
		filter.add(hashKey(w.keys, i))
	}
	err = errors.Join(
		out.add(secMeta, 0, js),
		out.add(secTimestamps, 0, bytesOf(w.src.timestamps())),
		out.add(secKeyFilter, 0, bytesOf(filter)))
	if w.dead {
		err = errors.Join(err, out.add(secDead, 0, bytesOf(w.src.dead())))
	}
	if err != nil {
		return err
	}
	head, err := out.finish(info.Rows, info.MinTS, info.MaxTS)
	if err != nil {
		return err
	}
	if _, err := w.columns.Write(head); err != nil {
		return err
	}
	_, err = io.Copy(w.columns, io.NewSectionReader(body, 0, body.size))
	return err
}

// nextID numbers columns that are no field's: fields have no negative numbers.
func (w *fileWriter) nextID() int64 {
	w.extra--
	return w.extra
}

func (w *fileWriter) vectorSection(out *container, column int, e *columnEncoder) error {
	var valid []bool
	if e.meta.Nulls > 0 {
		valid = unpackBits(e.valid.bytes, w.rows)
	}
	pages, err := vectorPages(w.parquet, w.parquet.size, column, e.meta.Type.RowBytes(e.meta.Dim), valid)
	if err != nil {
		return err
	}
	var raw []byte
	for _, p := range pages {
		raw = binary.LittleEndian.AppendUint32(raw, p.FirstRow)
		raw = binary.LittleEndian.AppendUint32(raw, p.Values)
		raw = binary.LittleEndian.AppendUint64(raw, p.Offset)
		raw = binary.LittleEndian.AppendUint32(raw, p.CRC)
	}
	return out.add(secVectors, e.meta.Field, raw)
}
