package proxy

import (
	"math"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// checkColumn checks a column's values against its field: ranges of small integers, lengths, capacities, numbers.
func checkColumn(f *schema.Field, c *schema.Column) error {
	switch f.Type {
	case schema.Int8, schema.Int16, schema.Int32:
		return checkRange(f, f.Type, c.Ints)
	case schema.Float:
		return checkFloats(f, c.Floats)
	case schema.Double:
		return checkDoubles(f, c.Doubles)
	case schema.FloatVector:
		return checkFloats(f, c.Vectors)
	case schema.Float16Vector, schema.BFloat16Vector:
		return checkStored(f, c.Packed)
	case schema.VarChar:
		return checkLengths(f, c.Strings)
	case schema.Array:
		return checkArrays(f, c)
	case schema.JSON:
		return checkDocuments(f, c)
	}
	return nil
}

func intRange(t schema.Type) (lo, hi int64) {
	switch t {
	case schema.Int8:
		return math.MinInt8, math.MaxInt8
	case schema.Int16:
		return math.MinInt16, math.MaxInt16
	case schema.Int32:
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

func checkRange(f *schema.Field, t schema.Type, values []int64) error {
	lo, hi := intRange(t)
	for _, v := range values {
		if v < lo || v > hi {
			return errs.Invalid("the value of field %s is out of range: invalid parameter[expected=%d to %d][actual=%d]", f.Name, lo, hi, v)
		}
	}
	return nil
}

func checkFloats(f *schema.Field, values []float32) error {
	for _, v := range values {
		if v != v || v > math.MaxFloat32 || v < -math.MaxFloat32 {
			return notANumber(f, float64(v))
		}
	}
	return nil
}

func checkDoubles(f *schema.Field, values []float64) error {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return notANumber(f, v)
		}
	}
	return nil
}

func notANumber(f *schema.Field, v float64) error {
	return errs.Invalid("field %s: value '%f' is not a number or infinity", f.Name, v)
}

func checkLengths(f *schema.Field, values []string) error {
	for i, s := range values {
		if len(s) > f.MaxLength {
			return errs.Invalid("length of varchar field %s exceeds max length, row number: %d, length: %d, max length: %d", f.Name, i, len(s), f.MaxLength)
		}
	}
	return nil
}

func checkArrays(f *schema.Field, c *schema.Column) error {
	elem := schema.Field{Name: f.Name, Type: f.Elem, MaxLength: f.MaxLength}
	for i := range c.Arrays {
		if c.IsNull(i) {
			continue
		}
		a := &c.Arrays[i]
		if a.N > f.MaxCapacity {
			return errs.Invalid("the length (%d) of %dth array exceeds max capacity (%d) of field %s", a.N, i, f.MaxCapacity, f.Name)
		}
		if err := checkColumn(&elem, a); err != nil {
			return err
		}
	}
	return nil
}

// maxDocumentBytes bounds one JSON document, the dynamic one too.
const maxDocumentBytes = 65536

func checkDocuments(f *schema.Field, c *schema.Column) error {
	for i, doc := range c.Bytes {
		if c.IsNull(i) {
			continue
		}
		if len(doc) > maxDocumentBytes {
			return errs.Invalid("length of json field %s exceeds max length, row number: %d, length: %d, max length: %d", f.Name, i, len(doc), maxDocumentBytes)
		}
		if !validJSON(doc) {
			return errs.Invalid("field %s row %d is no valid JSON: %s", f.Name, i, clip(doc))
		}
	}
	return nil
}

// clip shortens a value for an error text.
func clip(b []byte) string {
	const limit = 200
	if len(b) <= limit {
		return string(b)
	}
	return string(b[:limit]) + "..."
}
