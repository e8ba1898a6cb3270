package kernel

import "unsafe"

// DotTile stores the inner product of row i of a and row j of b in out[i*nb+j], where nb is the number of rows of b. Both
// are row-major with dim components per row. It is the building block of k-means and of scans for several queries: a row
// that is loaded serves several rows of the other side. Keep b small enough for the second cache level (about 512 KiB).
func (s Set) DotTile(a, b []float32, dim int, out []float32) {
	if dim <= 0 || len(a)%dim != 0 || len(b)%dim != 0 {
		panic("kernel: a tile of broken rows")
	}
	na, nb := len(a)/dim, len(b)/dim
	if na == 0 || nb == 0 {
		return
	}
	_ = out[na*nb-1]
	k := s.table().tile
	// One call reads up to 4 rows of a and callBytes of b, at most 4*callBytes/4 products: about 20 us.
	limit := rowsPerCall(4 * dim)
	for j := 0; j < nb; j += limit {
		for i := 0; i < na; i += tileRows {
			w := args{
				q: unsafe.Pointer(&a[i*dim]), m: min(tileRows, na-i), base: unsafe.Pointer(&b[j*dim]), n: min(limit, nb-j),
				stride: 4 * dim, dim: dim, out: unsafe.Pointer(&out[i*nb+j]), step: nb,
			}
			k.call(&w)
		}
	}
}

// tileRows is the number of rows of the first side that one call takes.
const tileRows = 4
