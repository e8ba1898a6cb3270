package datanode

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
)

// concat makes one batch of a partition's chunks, in log order. Chunks may have been written with different versions of
// the schema: a field that some lack is filled with its default or null; one that all lack is left out.
func concat(s *schema.Schema, chunks []chunk) (segment.Rows, error) {
	out := segment.Rows{Batch: &schema.Batch{}}
	for _, c := range chunks {
		out.Batch.N += c.batch.N
		for range c.batch.N {
			out.TS = append(out.TS, c.ts)
		}
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		var col *schema.Column
		done := 0
		for _, c := range chunks {
			src := c.batch.Column(f.ID)
			if col == nil && src != nil {
				col = schema.NewColumn(f)
				fill(col, f, done)
			}
			switch {
			case col == nil:
			case src == nil:
				fill(col, f, c.batch.N)
			default:
				if err := appendColumn(col, src); err != nil {
					return out, fmt.Errorf("field %s: %w", f.Name, err)
				}
			}
			done += c.batch.N
		}
		if col != nil {
			out.Batch.Columns = append(out.Batch.Columns, col)
		}
	}
	return out, nil
}

// fill appends n rows of a field that they were written without.
func fill(dst *schema.Column, f *schema.Field, n int) {
	for range n {
		if f.Default != nil && f.Default.N > 0 {
			dst.AppendFrom(f.Default, 0)
		} else {
			dst.AppendNull()
		}
	}
}

// appendColumn appends all rows of src.
func appendColumn(dst, src *schema.Column) error {
	if dst.Type != src.Type || dst.Elem != src.Elem || dst.Dim != src.Dim {
		return fmt.Errorf("rows of type %s, dim %d, in a field of type %s, dim %d", src.Type, src.Dim, dst.Type, dst.Dim)
	}
	if src.Valid != nil || dst.Valid != nil {
		dst.Valid = append(allValid(dst.Valid, dst.N), allValid(src.Valid, src.N)...)
	}
	dst.Bools = append(dst.Bools, src.Bools...)
	dst.Ints = append(dst.Ints, src.Ints...)
	dst.Floats = append(dst.Floats, src.Floats...)
	dst.Doubles = append(dst.Doubles, src.Doubles...)
	dst.Strings = append(dst.Strings, src.Strings...)
	dst.Bytes = append(dst.Bytes, src.Bytes...)
	dst.Arrays = append(dst.Arrays, src.Arrays...)
	dst.Vectors = append(dst.Vectors, src.Vectors...)
	dst.Packed = append(dst.Packed, src.Packed...)
	dst.N += src.N
	return nil
}

func allValid(valid []bool, n int) []bool {
	if valid != nil {
		return valid
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = true
	}
	return out
}

// deletesOf makes the content of a delta file.
func deletesOf(dels []deletion) segment.Deletes {
	var out segment.Deletes
	for _, d := range dels {
		out.Keys.Ints = append(out.Keys.Ints, d.keys.Ints...)
		out.Keys.Strings = append(out.Keys.Strings, d.keys.Strings...)
		for range d.keys.Len() {
			out.TS = append(out.TS, d.ts)
			out.ReadTS = append(out.ReadTS, d.readTS)
			out.Partition = append(out.Partition, d.partition)
			out.Position = append(out.Position, d.position)
		}
	}
	return out
}
