package segment

import "github.com/gyr-db/gyr/pkg/schema"

// missing returns n rows of a field that rows were written without: its default, or null when it has none.
func missing(f *schema.Field, n int) *schema.Column {
	c := schema.NewColumn(f)
	if f.Default == nil || f.Default.N == 0 {
		return nulls(c, n)
	}
	zero := make([]int, n)
	d := *f.Default
	d.Field, d.Type, d.Elem, d.Dim = f.ID, f.Type, f.Elem, f.Dim
	return d.Gather(zero)
}

func nulls(c *schema.Column, n int) *schema.Column {
	c.N, c.Valid = n, make([]bool, n)
	switch {
	case c.Type == schema.Bool:
		c.Bools = make([]bool, n)
	case c.Type.IsInt():
		c.Ints = make([]int64, n)
	case c.Type == schema.Float:
		c.Floats = make([]float32, n)
	case c.Type == schema.Double:
		c.Doubles = make([]float64, n)
	case c.Type == schema.VarChar:
		c.Strings = make([]string, n)
	case c.Type == schema.JSON:
		c.Bytes = make([][]byte, n)
	case c.Type == schema.Array:
		c.Arrays = make([]schema.Column, n)
		for i := range c.Arrays {
			c.Arrays[i].Type = c.Elem
		}
	case c.Type == schema.FloatVector:
		c.Vectors = make([]float32, n*c.Dim)
	case c.Type.IsPacked():
		c.Packed = make([]byte, n*c.Type.RowBytes(c.Dim))
	}
	return c
}
