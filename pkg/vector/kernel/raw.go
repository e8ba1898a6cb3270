package kernel

import "unsafe"

// RawL2 stores the squared Euclidean distance between q and rows[i], stored as e, in out[i].
func (s Set) RawL2(e Elem, q []float32, rows [][]byte, out []float32) {
	s.raw(opL2, e, q, rows, out, nil)
}

// RawIP stores the inner product of q and rows[i], stored as e, in out[i].
func (s Set) RawIP(e Elem, q []float32, rows [][]byte, out []float32) {
	s.raw(opIP, e, q, rows, out, nil)
}

// RawIPNorm stores the inner product of q and rows[i], stored as e, in ip[i], and the squared length of rows[i] in
// norm2[i]: what a cosine needs, from one pass over the rows.
func (s Set) RawIPNorm(e Elem, q []float32, rows [][]byte, ip, norm2 []float32) {
	s.raw(opIPNorm, e, q, rows, ip, norm2[:len(rows)])
}

// RawBlockL2 is RawL2 over the first len(out) rows of a row-major block.
func (s Set) RawBlockL2(e Elem, q []float32, block []byte, out []float32) {
	s.rawBlock(opL2, e, q, block, out, nil)
}

// RawBlockIP is RawIP over the first len(out) rows of a row-major block.
func (s Set) RawBlockIP(e Elem, q []float32, block []byte, out []float32) {
	s.rawBlock(opIP, e, q, block, out, nil)
}

// RawBlockIPNorm is RawIPNorm over the first len(ip) rows of a row-major block.
func (s Set) RawBlockIPNorm(e Elem, q []float32, block []byte, ip, norm2 []float32) {
	s.rawBlock(opIPNorm, e, q, block, ip, norm2[:len(ip)])
}

// RawNorm2 returns the squared length of a row stored as e. It may differ from RawIPNorm's by rounding.
func (s Set) RawNorm2(e Elem, row []byte) float32 {
	if e == F32 {
		f := Floats(row)
		return s.Dot(f, f)
	}
	var buf [256]float32
	var sum float32
	for size := len(buf) * e.RowBytes(1); len(row) > 0; {
		f := s.Decode(e, row[:min(size, len(row))], buf[:])
		sum += s.Dot(f, f)
		row = row[min(size, len(row)):]
	}
	return sum
}

func (s Set) raw(o op, e Elem, q []float32, rows [][]byte, out, out2 []float32) {
	n, size := len(rows), e.RowBytes(len(q))
	if n == 0 {
		return
	}
	out = out[:n]
	if len(q) == 0 {
		clear(out)
		clear(out2)
		return
	}
	for _, row := range rows {
		_ = row[size-1]
	}
	s.run(o, e, q, args{list: &rows[0], n: n}, out, out2)
}

func (s Set) rawBlock(o op, e Elem, q []float32, block []byte, out, out2 []float32) {
	n, size := len(out), e.RowBytes(len(q))
	if n == 0 {
		return
	}
	if len(q) == 0 {
		clear(out)
		clear(out2)
		return
	}
	_ = block[n*size-1]
	s.runBlock(o, e, q, args{base: unsafe.Pointer(&block[0]), n: n}, out, out2)
}
