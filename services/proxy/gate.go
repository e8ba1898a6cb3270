package proxy

import (
	"context"
	"sync"

	"github.com/gyr-db/gyr/pkg/errs"
)

// guessedBytes is what a request is taken to hold until its body was read.
const guessedBytes = 1 << 20

// gate admits requests before their bodies are read: a bounded number at a time, and new ones only while the bodies in
// work hold less than a bound. A body that turns out larger than guessed is charged afterwards, so the bound can be
// passed by what was admitted at the same moment, and nothing is admitted until that has gone down.
type gate struct {
	maxRequests int
	maxBytes    int64

	mu      sync.Mutex // guards all below
	free    chan struct{}
	count   int
	bytes   int64
	waiting int
}

func newGate(maxRequests int, maxBytes int64) *gate {
	return &gate{maxRequests: maxRequests, maxBytes: maxBytes, free: make(chan struct{})}
}

// ticket is one admitted request.
type ticket struct {
	g     *gate
	bytes int64
}

// enter waits for a place. So many may wait as may be in work; one more is refused at once.
func (g *gate) enter(ctx context.Context) (*ticket, error) {
	g.mu.Lock()
	if g.waiting >= g.maxRequests {
		g.mu.Unlock()
		return nil, errs.New(errs.TooManyRequests, "this proxy has %d requests in work and as many waiting, try again", g.maxRequests)
	}
	g.waiting++
	for g.count >= g.maxRequests || g.bytes >= g.maxBytes {
		free := g.free
		g.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			g.mu.Lock()
			g.waiting--
			g.mu.Unlock()
			return nil, errs.New(errs.TooManyRequests, "this proxy had no place for the request in time: %w", ctx.Err())
		}
		g.mu.Lock()
	}
	g.waiting--
	g.count++
	g.bytes += guessedBytes
	g.mu.Unlock()
	return &ticket{g: g, bytes: guessedBytes}, nil
}

// holds tells the size of the body once it was read.
func (t *ticket) holds(bytes int64) {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	t.g.bytes += bytes - t.bytes
	shrunk := bytes < t.bytes
	t.bytes = bytes
	if shrunk {
		t.g.wake()
	}
}

func (t *ticket) leave() {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	t.g.count--
	t.g.bytes -= t.bytes
	t.bytes = 0
	t.g.wake()
}

// wake lets those who wait look again; mu is held.
func (g *gate) wake() {
	close(g.free)
	g.free = make(chan struct{})
}

// load returns the number of requests in work and the bytes that they hold.
func (g *gate) load() (requests int, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count, g.bytes
}
