package kmeans

import (
	"math"
	"slices"
	"sync"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	// centroidBytes bounds the centroids that a block of rows passes over while they are in the second cache.
	centroidBytes = 256 << 10
	// originRows is how many rows the origin is made from.
	originRows = 65
)

// Floats is the space of rows of numbers, by squared distance or by angle: then centroids have length 1. Of equally near
// centroids the first counts; distances are those that single precision gives for |x|² + |c|² - 2<x, c>, with x and c seen
// from amid the rows, so that an offset that all rows share takes no digits away.
type Floats struct {
	set       kernel.Set
	rows      vector.Rows
	angle     bool
	Centroids vector.Matrix

	origin  []float32 // nil for angles
	shifted []float32 // centroids seen from there
	half    []float32 // halves of their squared lengths
	scratch sync.Pool // of *floatScratch
}

type floatScratch struct {
	rows []float32
	dots []float32
	best []float32
	sum  []float64
}

// NewFloats returns the space of rows and count centroids.
func NewFloats(set kernel.Set, rows vector.Rows, count int, angle bool) *Floats {
	dim := rows.Dim()
	f := &Floats{set: set, rows: rows, angle: angle, Centroids: vector.Matrix{Data: make([]float32, count*dim), D: dim}}
	if !angle {
		f.origin, f.shifted, f.half = middle(set, rows), make([]float32, count*dim), make([]float32, count)
	}
	f.scratch.New = func() any {
		return &floatScratch{
			rows: make([]float32, RowBlock*dim), dots: make([]float32, RowBlock*min(count, f.step())),
			best: make([]float32, RowBlock), sum: make([]float64, dim),
		}
	}
	return f
}

// step is the number of centroids that a block of rows is measured against at a time.
func (f *Floats) step() int { return max(4, centroidBytes/(4*f.rows.Dim())) }

// middle returns the median of some rows in each dimension: unlike the mean it does not follow a few huge numbers.
func middle(set kernel.Set, rows vector.Rows) []float32 {
	dim, n := rows.Dim(), min(rows.Len(), originRows)
	all, out, column := make([]float32, n*dim), make([]float32, dim), make([]float32, n)
	for i := range n {
		row := all[i*dim : (i+1)*dim]
		copy(row, set.Decode(rows.Elem(), rows.Row(i*rows.Len()/n), row))
	}
	for d := range out {
		for i := range column {
			column[i] = all[i*dim+d]
		}
		slices.Sort(column)
		if n > 0 && column[n/2]-column[n/2] == 0 {
			out[d] = column[n/2]
		}
	}
	return out
}

// row returns a row as numbers, in buf unless they are stored as such.
func (f *Floats) row(id uint32, buf []float32) []float32 {
	return f.set.Decode(f.rows.Elem(), f.rows.Row(int(id)), buf)
}

// Take implements Space.
func (f *Floats) Take(centroid int, row uint32) {
	c := f.Centroids.Vector(centroid)
	copy(c, f.row(row, c))
	f.normalise(c)
}

// normalise gives a centroid the length 1 where only angles count.
func (f *Floats) normalise(x []float32) {
	if !f.angle {
		return
	}
	if n := math.Sqrt(float64(f.set.Dot(x, x))); n > 0 && !math.IsInf(n, 0) {
		inv := float32(1 / n)
		for d := range x {
			x[d] *= inv
		}
	}
}

// Ready implements Space.
func (f *Floats) Ready() {
	if f.angle {
		return
	}
	dim := f.rows.Dim()
	for c := range f.half {
		x := f.shifted[c*dim : (c+1)*dim]
		minus(f.Centroids.Vector(c), f.origin, x)
		f.half[c] = f.set.Dot(x, x) / 2
	}
}

func minus(x, y, out []float32) {
	y, out = y[:len(x)], out[:len(x)]
	for d, v := range x {
		out[d] = v - y[d]
	}
}

// Nearest implements Space.
func (f *Floats) Nearest(rows, out []uint32) {
	s := f.scratch.Get().(*floatScratch)
	defer f.scratch.Put(s)
	dim, k, step := f.rows.Dim(), f.Centroids.Len(), f.step()
	for i, id := range rows {
		x := s.rows[i*dim : (i+1)*dim]
		if f.angle {
			copy(x, f.row(id, x))
		} else {
			minus(f.row(id, x), f.origin, x)
		}
		s.best[i] = float32(math.Inf(-1))
	}
	clear(out)
	all := f.shifted
	if f.angle {
		all = f.Centroids.Data
	}
	for from := 0; from < k; from += step {
		to := min(from+step, k)
		n := to - from
		dots := s.dots[:len(rows)*n]
		f.set.DotTile(s.rows[:len(rows)*dim], all[from*dim:to*dim], dim, dots)
		for i := range rows {
			best, at := s.best[i], -1
			if d := dots[i*n : (i+1)*n]; f.angle {
				best, at = greatest(d, best)
			} else {
				best, at = nearest(d, f.half[from:to], best)
			}
			if at >= 0 {
				s.best[i], out[i] = best, uint32(from+at)
			}
		}
	}
}

// greatest returns the first greatest product above best, and where it is, or -1.
func greatest(dots []float32, best float32) (float32, int) {
	at := -1
	for c, v := range dots {
		if v > best {
			best, at = v, c
		}
	}
	return best, at
}

// nearest is greatest for products less half of the centroids' squared lengths: those are greatest at the least distance.
func nearest(dots, half []float32, best float32) (float32, int) {
	at := -1
	half = half[:len(dots)]
	for c, v := range dots {
		if v -= half[c]; v > best {
			best, at = v, c
		}
	}
	return best, at
}

// Move implements Space: a centroid is the mean of its rows, or of their directions.
func (f *Floats) Move(centroid int, rows []uint32) {
	s := f.scratch.Get().(*floatScratch)
	defer f.scratch.Put(s)
	sum, buf := s.sum, s.rows[:f.rows.Dim()]
	clear(sum)
	for _, id := range rows {
		row := f.row(id, buf)
		scale := 1.0
		if f.angle {
			if scale = math.Sqrt(float64(f.set.Dot(row, row))); scale > 0 {
				scale = 1 / scale
			}
		}
		row = row[:len(sum)]
		for d := range sum {
			sum[d] += scale * float64(row[d])
		}
	}
	out := f.Centroids.Vector(centroid)
	for d := range sum {
		out[d] = float32(sum[d] / float64(len(rows)))
	}
	f.normalise(out)
}
