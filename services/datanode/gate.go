package datanode

import (
	"context"
	"fmt"
	"sync"

	"github.com/gyr-db/gyr/pkg/errs"
)

// gate admits writes and lets a change of the catalog wait until those admitted before it are settled: refused, or their
// record is acknowledged, or known not to be in the log, or the log is lost.
type gate struct {
	mu     sync.Mutex // guards all below and the cohorts
	closed bool
	now    *cohort
	old    []*cohort // not settled yet
}

// cohort is the writes admitted between two drains.
type cohort struct {
	n    int
	over bool // nobody comes any more
	done chan struct{}
}

func newGate() *gate { return &gate{now: &cohort{done: make(chan struct{})}} }

func (c *cohort) check() {
	if c.over && c.n == 0 {
		close(c.done)
	}
}

// enter admits a write; it must then look at the catalog, not before.
func (g *gate) enter() (*pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, errs.New(errs.NotOwner, "this node is giving the log up")
	}
	g.now.n++
	return &pass{gate: g, cohort: g.now}, nil
}

// close admits nothing any more.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// drain waits until all writes that were admitted before are settled.
func (g *gate) drain(ctx context.Context) error {
	g.mu.Lock()
	g.now.over = true
	g.now.check()
	kept := g.old[:0]
	for _, c := range append(g.old, g.now) {
		if c.n > 0 {
			kept = append(kept, c)
		}
	}
	g.old, g.now = kept, &cohort{done: make(chan struct{})}
	wait := append([]*cohort(nil), kept...)
	g.mu.Unlock()
	for _, c := range wait {
		select {
		case <-c.done:
		case <-ctx.Done():
			return fmt.Errorf("wait for admitted writes: %w", ctx.Err())
		}
	}
	return nil
}

// pass is one write's admission. Its caller may leave while its record is on the way; then the pass is held until the
// record is settled.
type pass struct {
	gate   *gate
	cohort *cohort
	// gate.mu guards these.
	built, left bool
}

// build says whether the record may still be made; from then on settle ends the pass.
func (p *pass) build() bool {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.left {
		return false
	}
	p.built = true
	return true
}

// leave ends the pass unless a record was built.
func (p *pass) leave() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if !p.built {
		p.end()
	}
}

// settle ends the pass.
func (p *pass) settle() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.end()
}

func (p *pass) end() {
	if p.left {
		return
	}
	p.left = true
	p.cohort.n--
	p.cohort.check()
}
