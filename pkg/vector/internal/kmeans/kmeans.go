// Package kmeans puts rows around centroids by Lloyd's algorithm: each row goes to the nearest centroid, each centroid moves
// amid its rows, until few rows change sides.
//
// The first rounds look at a part of the sample (Lloyd's rounds are far from settled then, and the direction in which a
// centroid has to move shows in few of its rows), the last ones at all of it. What rows are, how far they lie from a
// centroid and what lies amid them is a Space; Floats is that of numbers.
//
// Invariant: equal rows and settings give equal centroids and assignments, whatever the number of workers. The package
// does not store lists, and leaves those without rows to its users.
package kmeans

import (
	"context"

	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

// RowBlock is the number of rows that are put to centroids together.
const RowBlock = 64

// PerCentroid is the number of rows per centroid that training looks at, as long as there are as many.
const PerCentroid = 256

const seed = 0x9e3779b97f4a7c15

// moveStep is the number of centroids that a worker moves at a time.
const moveStep = 16

// stage is some rounds over so many rows per centroid.
type stage struct{ rows, rounds int }

func stages() []stage { return []stage{{32, 4}, {64, 3}, {PerCentroid, 3}} }

// Space is rows and centroids, by number. Nearest and Move are called from several goroutines at a time, Move never twice
// for one centroid.
type Space interface {
	// Take makes a row a centroid.
	Take(centroid int, row uint32)
	// Ready is called when centroids have moved.
	Ready()
	// Nearest stores in out the nearest centroids of up to RowBlock rows.
	Nearest(rows, out []uint32)
	// Move moves a centroid amid some rows, at least one.
	Move(centroid int, rows []uint32)
}

// Lloyd says what to cluster.
type Lloyd struct {
	Space     Space
	Rows      int
	Centroids int     // at least 1, at most Rows
	Settled   float64 // the share of rows that may still change sides for the rounds to end early
	Workers   int
	Report    *work.Reporter // may be nil
}

// Steps returns how many rows Train puts to centroids at most.
func (l *Lloyd) Steps() int {
	sum := 0
	for _, s := range stages() {
		sum += s.rounds * l.sample(s.rows)
	}
	return sum
}

func (l *Lloyd) sample(perCentroid int) int { return min(l.Rows, l.Centroids*perCentroid) }

// Train finds the centroids.
func (l *Lloyd) Train(ctx context.Context) error {
	for i, s := range stages() {
		rows := l.spread(l.sample(s.rows))
		if i == 0 {
			l.begin(rows)
		}
		if err := l.rounds(ctx, rows, s.rounds); err != nil {
			return err
		}
	}
	return nil
}

// spread returns count evenly spread rows.
func (l *Lloyd) spread(count int) []uint32 {
	rows := make([]uint32, count)
	for i := range rows {
		rows[i] = uint32(i * l.Rows / count)
	}
	return rows
}

// begin makes randomly drawn rows of the sample the centroids: one out of each of as many equal parts of it, so that no row
// is drawn twice.
func (l *Lloyd) begin(rows []uint32) {
	for c := range l.Centroids {
		from, to := c*len(rows)/l.Centroids, (c+1)*len(rows)/l.Centroids
		l.Space.Take(c, rows[from+int(work.Mix(uint64(c)+seed)%uint64(to-from))])
	}
	l.Space.Ready()
}

// rounds moves the centroids amid rows.
func (l *Lloyd) rounds(ctx context.Context, rows []uint32, count int) error {
	nearest, before := make([]uint32, len(rows)), make([]uint32, len(rows))
	for round := range count {
		if err := l.Assign(ctx, rows, nearest); err != nil {
			return err
		}
		moved := 0
		for i, c := range nearest {
			if c != before[i] {
				moved++
			}
		}
		g := Group(nearest, l.Centroids)
		g.fillEmpty(nearest)
		l.move(rows, g)
		if round > 0 && float64(moved) <= l.Settled*float64(len(rows)) {
			break
		}
		nearest, before = before, nearest
	}
	return ctx.Err()
}

// move moves centroids amid their rows; those without rows stay.
func (l *Lloyd) move(rows []uint32, g Lists) {
	for i, at := range g.IDs {
		g.IDs[i] = rows[at]
	}
	work.Parallel(l.Workers, (l.Centroids+moveStep-1)/moveStep, func(b int) {
		for c := b * moveStep; c < min((b+1)*moveStep, l.Centroids); c++ {
			if members := g.List(c); len(members) > 0 {
				l.Space.Move(c, members)
			}
		}
	})
	l.Space.Ready()
}

// Assign stores the nearest centroid of rows[i] in out[i].
func (l *Lloyd) Assign(ctx context.Context, rows, out []uint32) error {
	return work.Try(ctx, l.Workers, (len(rows)+RowBlock-1)/RowBlock, func(b int) {
		from, to := b*RowBlock, min((b+1)*RowBlock, len(rows))
		l.Space.Nearest(rows[from:to], out[from:to])
		if l.Report != nil {
			l.Report.Done(to - from)
		}
	})
}

// Run finds the centroids, puts every row to the nearest and returns the rows of each.
func (l *Lloyd) Run(ctx context.Context) (Lists, error) {
	nearest := make([]uint32, l.Rows)
	if l.Rows > 0 {
		if err := l.Train(ctx); err != nil {
			return Lists{}, err
		}
		if err := l.Assign(ctx, l.spread(l.Rows), nearest); err != nil {
			return Lists{}, err
		}
	}
	return Group(nearest, l.Centroids), nil
}
