package proxy

import (
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// fieldOps are the operations of a partial upsert that change an array instead of replacing it, by field id.
type fieldOps map[int64]schemapb.FieldPartialUpdateOp_OpType

// readFieldOps checks the operations of a request against the schema and the columns that it holds.
func readFieldOps(s *schema.Schema, ops []*schemapb.FieldPartialUpdateOp, sent *schema.Batch) (fieldOps, error) {
	out := fieldOps{}
	seen := map[string]bool{}
	for _, op := range ops {
		name := op.GetFieldName()
		switch {
		case name == "":
			return nil, errs.Invalid("FieldPartialUpdateOp.field_name is required")
		case seen[name]:
			return nil, errs.Invalid("duplicate partial-update op for field %q", name)
		}
		seen[name] = true
		if op.GetOp() == schemapb.FieldPartialUpdateOp_REPLACE {
			continue
		}
		f := s.Field(name)
		if err := checkFieldOp(f, name, op.GetOp()); err != nil {
			return nil, err
		}
		if sent.Column(f.ID) == nil {
			return nil, errs.Invalid("partial-update op targets field %q not present in fields_data", name)
		}
		out[f.ID] = op.GetOp()
	}
	return out, nil
}

func checkFieldOp(f *schema.Field, name string, op schemapb.FieldPartialUpdateOp_OpType) error {
	switch {
	case f == nil:
		return errs.Invalid("field %q not found in collection schema", name)
	case f.PrimaryKey:
		return errs.Invalid("field %q is the primary key and cannot carry a partial-update op", name)
	case op != schemapb.FieldPartialUpdateOp_ARRAY_APPEND && op != schemapb.FieldPartialUpdateOp_ARRAY_REMOVE:
		return errs.Invalid("unsupported partial update op: %s", op)
	case f.Type != schema.Array:
		return errs.Invalid("op %s requires Array field, but field %q is %s", op, name, f.Type)
	}
	return nil
}

// mergeArrays applies an operation row by row: place tells where each row is in old, or -1. A row without a value in the
// request keeps what it has; one without a value so far counts as empty.
func mergeArrays(f *schema.Field, op schemapb.FieldPartialUpdateOp_OpType, sent, old *schema.Column, place []int) (*schema.Column, error) {
	out := schema.NewColumn(f)
	for i, j := range place {
		var base *schema.Column
		if j >= 0 && old != nil && !old.IsNull(j) {
			base = &old.Arrays[j]
		}
		if sent.IsNull(i) {
			if base == nil {
				out.AppendNull()
			} else {
				out.AppendFrom(old, j)
			}
			continue
		}
		merged := mergeArray(f, op, base, &sent.Arrays[i])
		if op == schemapb.FieldPartialUpdateOp_ARRAY_APPEND && merged.N > f.MaxCapacity {
			return nil, errs.Invalid("array length %d exceeds max_capacity %d, field %s", merged.N, f.MaxCapacity, f.Name)
		}
		out.AppendFrom(&schema.Column{Type: schema.Array, Elem: f.Elem, N: 1, Arrays: []schema.Column{*merged}}, 0)
	}
	return out, nil
}

// mergeArray returns base with change's elements at its end, or without all that equal one of them.
func mergeArray(f *schema.Field, op schemapb.FieldPartialUpdateOp_OpType, base, change *schema.Column) *schema.Column {
	out := &schema.Column{Type: f.Elem}
	if op == schemapb.FieldPartialUpdateOp_ARRAY_APPEND {
		for _, part := range []*schema.Column{base, change} {
			for i := 0; part != nil && i < part.N; i++ {
				out.AppendFrom(part, i)
			}
		}
		return out
	}
	gone := make(map[any]bool, change.N)
	for i := range change.N {
		gone[elementAt(change, i)] = true
	}
	for i := 0; base != nil && i < base.N; i++ {
		if !gone[elementAt(base, i)] {
			out.AppendFrom(base, i)
		}
	}
	return out
}

// elementAt is an array's element in a form that can be compared.
func elementAt(c *schema.Column, i int) any {
	switch {
	case c.Type == schema.Bool:
		return c.Bools[i]
	case c.Type == schema.Float:
		return c.Floats[i]
	case c.Type == schema.Double:
		return c.Doubles[i]
	case c.Type == schema.VarChar:
		return c.Strings[i]
	}
	return c.Ints[i]
}
