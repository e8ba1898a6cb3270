package sq8

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Planes are codes split into two 4-bit codes: a code byte u is 16*high + low. The high halves alone, half the bytes, order
// rows nearly as well: they stand for the codes 16*high - 120, the middle of the sixteen that share them. Distances by high
// halves are in units of 16 steps squared, so that they fit the kernel. Rows are found by their high halves; Refine brings
// in the low ones for the few that are worth it.
type Planes struct {
	High, Low kernel.Codes
	// HighWeight is |16*high - 120|^2/16, Weight is |code|^2; both are zero for inner product.
	HighWeight, Weight []int32
}

// Unit is what distances by high halves are multiplied with to compare with distances by whole codes.
const Unit = 16

// PlaneStride returns the bytes that one half of a row of dim dimensions takes.
func PlaneStride(dim int) int { return kernel.U4Stride(dim) }

// Set splits the code of a row and returns the squared length of what its high half stands for, in units of 16.
func (p *Planes) Set(row uint32, code []byte) (highNorm int32) {
	high, low := p.High.Row(row), p.Low.Row(row)
	var norm int32
	for from := 0; from < len(code); from += 128 {
		block := code[from:min(from+128, len(code))]
		hi, lo := high[from/2:from/2+64], low[from/2:from/2+64]
		for i, u := range block[:min(64, len(block))] {
			hi[i], lo[i] = u>>4, u&15
			c := int32(u&0xf0) - 120
			norm += c * c
		}
		for i := 64; i < len(block); i++ {
			u := block[i]
			hi[i-64] |= u & 0xf0
			lo[i-64] |= u << 4
			c := int32(u&0xf0) - 120
			norm += c * c
		}
	}
	return (norm + Unit/2) / Unit
}

// Code writes the whole code of a row, which Set split, to code.
func (p *Planes) Code(row uint32, code []byte) {
	high, low := p.High.Row(row), p.Low.Row(row)
	for i := range code {
		at, shift := i/128*64+i%64, i%128/64*4
		code[i] = high[at]>>shift<<4 | low[at]>>shift&15
	}
}

// MeasureHigh computes the distances of the high halves of the rows in ids into dist, which has room for them. Q is as long
// as two rows of High.
func (c *Coded) MeasureHigh(set kernel.Set, high kernel.Codes, ids []uint32, highWeight, dist []int32) {
	if c.Weights && c.Ratio == 1 {
		set.U4(c.Q, high, ids, highWeight, c.High, dist)
		return
	}
	set.U4(c.Q, high, ids, nil, c.High, dist)
	if c.Weights {
		for i, id := range ids {
			dist[i] += int32(c.Ratio * float32(highWeight[id]))
		}
	}
}

// Refine turns the distances in high, which MeasureHigh gave for ids, into distances by whole codes, in dist.
func (c *Coded) Refine(set kernel.Set, p *Planes, ids []uint32, high, dist []int32) {
	set.U4(c.Q, p.Low, ids, nil, c.Bias, dist)
	for i, id := range ids {
		d := high[i] - c.High
		switch {
		case c.Weights && c.Ratio == 1:
			dist[i] += Unit*(d-p.HighWeight[id]) + p.Weight[id]
		case c.Weights:
			dist[i] += Unit*(d-int32(c.Ratio*float32(p.HighWeight[id]))) + int32(c.Ratio*float32(p.Weight[id]))
		default:
			dist[i] += Unit * d
		}
	}
}

// CutHigh is Cut for distances by high halves, whose rounding errors are 16 times as wide.
func (c *Coded) CutHigh(keys []uint32, k, n int) int {
	if len(keys) <= n || len(keys) < k {
		return len(keys)
	}
	kth := float64(distOf(keys[k-1]))
	bound := kth + 3*c.Length
	if c.Weights && c.Ratio == 1 {
		d := math.Sqrt(max(0, kth)) + 1.75*4
		bound = d * d
	}
	for n < len(keys) && float64(distOf(keys[n])) <= bound {
		n++
	}
	return n
}
