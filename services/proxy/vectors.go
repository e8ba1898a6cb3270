package proxy

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/vector"
)

// isHalf reports whether vectors of a type may come as float32 too, to be rounded.
func isHalf(t schema.Type) bool { return t == schema.Float16Vector || t == schema.BFloat16Vector }

// halves rounds numbers to a type of half their size. What is too large becomes infinite, which checks refuse.
func halves(t schema.Type, v []float32) []byte {
	elem, _ := index.ElemOf(t)
	return vector.Encode(elem, v, make([]byte, 0, 2*len(v)))
}

// readFloats reads floats in little endian.
func readFloats(raw []byte) []float32 {
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

// vectorBytes writes floats in little endian.
func vectorBytes(dst []byte, v []float32) []byte {
	for _, x := range v {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}

// checkStored refuses stored vectors with a component that is no number or infinite.
func checkStored(f *schema.Field, raw []byte) error {
	switch f.Type {
	case schema.FloatVector:
		for i := 0; i+4 <= len(raw); i += 4 {
			v := math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))
			if v != v || v > math.MaxFloat32 || v < -math.MaxFloat32 {
				return notANumber(f, float64(v))
			}
		}
	case schema.Float16Vector:
		return checkExponents(f, raw, 0x7c00)
	case schema.BFloat16Vector:
		return checkExponents(f, raw, 0x7f80)
	}
	return nil
}

// checkExponents refuses 16-bit numbers with every bit of the exponent set: infinities, and NaNs, which have a fraction.
func checkExponents(f *schema.Field, raw []byte, exponent uint16) error {
	for i := 0; i+2 <= len(raw); i += 2 {
		v := binary.LittleEndian.Uint16(raw[i:])
		if v&exponent != exponent {
			continue
		}
		if v&^(exponent|1<<15) != 0 {
			return notANumber(f, math.NaN())
		}
		return notANumber(f, math.Inf(1-2*int(v>>15)))
	}
	return nil
}

// readVectors reads a public column of vectors. Those of a field of half precision may come as float32.
func readVectors(f *schema.Field, c *schema.Column, v *schemapb.VectorField) error {
	if f.Nullable && v.GetData() == nil {
		return nil // every row is null
	}
	var raw []byte
	var floats []float32
	var given schema.Type
	switch d := v.GetData().(type) {
	case *schemapb.VectorField_FloatVector:
		given, floats = schema.FloatVector, d.FloatVector.GetData()
	case *schemapb.VectorField_Float16Vector:
		given, raw = schema.Float16Vector, d.Float16Vector
	case *schemapb.VectorField_Bfloat16Vector:
		given, raw = schema.BFloat16Vector, d.Bfloat16Vector
	case *schemapb.VectorField_Int8Vector:
		given, raw = schema.Int8Vector, d.Int8Vector
	case *schemapb.VectorField_BinaryVector:
		given, raw = schema.BinaryVector, d.BinaryVector
	}
	if given != f.Type && (given != schema.FloatVector || !isHalf(f.Type)) {
		name := vectorName(f.Type)
		return errs.Invalid("%s vector field '%s' is illegal, array type mismatch: invalid parameter[expected=need %s vector][actual=got %s]", name, f.Name, name, vectorForm(v))
	}
	if dim := int(v.GetDim()); dim != f.Dim && (dim != 0 || len(raw)+len(floats) > 0) {
		return errs.Invalid("the dim (%d) of field data(%s) is not equal to schema dim (%d)", dim, f.Name, f.Dim)
	}
	length, row := len(raw), f.Type.RowBytes(f.Dim)
	if given == schema.FloatVector {
		length, row = len(floats), f.Dim
	}
	if length%row != 0 {
		return errs.Invalid("the length(%d) of %s data should divide the dim(%d)", length, vectorName(given), f.Dim)
	}
	c.N = length / row
	switch {
	case f.Type == schema.FloatVector:
		c.Vectors = floats
	case given == schema.FloatVector:
		c.Packed = halves(f.Type, floats)
	default:
		c.Packed = raw
	}
	return nil
}

// vectorName is what error texts call the vectors of a type.
func vectorName(t schema.Type) string {
	switch t {
	case schema.Float16Vector:
		return "float16"
	case schema.BFloat16Vector:
		return "bfloat16"
	case schema.Int8Vector:
		return "int8"
	case schema.BinaryVector:
		return "binary"
	}
	return "float"
}

func vectorForm(v *schemapb.VectorField) string {
	if v.GetData() == nil {
		return "nil"
	}
	return fmt.Sprintf("%T", v.Data)
}

// publicVectors is a column of vectors in the API's form: rows without a vector take no room.
func publicVectors(f *schema.Field, c *schema.Column) *schemapb.VectorField {
	c = present(c)
	out := &schemapb.VectorField{Dim: int64(f.Dim)}
	switch f.Type {
	case schema.Float16Vector:
		out.Data = &schemapb.VectorField_Float16Vector{Float16Vector: c.Packed}
	case schema.BFloat16Vector:
		out.Data = &schemapb.VectorField_Bfloat16Vector{Bfloat16Vector: c.Packed}
	case schema.Int8Vector:
		out.Data = &schemapb.VectorField_Int8Vector{Int8Vector: c.Packed}
	case schema.BinaryVector:
		out.Data = &schemapb.VectorField_BinaryVector{BinaryVector: c.Packed}
	default:
		out.Data = &schemapb.VectorField_FloatVector{FloatVector: &schemapb.FloatArray{Data: c.Vectors}}
	}
	return out
}

// present is a column's rows that have a value.
func present(c *schema.Column) *schema.Column {
	var rows []int
	for i, ok := range c.Valid {
		if ok {
			rows = append(rows, i)
		}
	}
	if len(rows) == len(c.Valid) { // all, or there are no flags
		return c
	}
	return c.Gather(rows)
}
