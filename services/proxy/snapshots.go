package proxy

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/tso"
)

// pair is what a barrier answers: every record of the log with a timestamp <= ts, ever, lies at or before position.
type pair struct {
	position uint64
	ts       uint64
	asked    time.Time // when the barrier was sent, by this process's clock
}

func (p pair) known() bool { return !p.asked.IsZero() }

// snapshots chooses the pairs at which reads run, per log.
type snapshots struct {
	p       *Proxy
	mu      sync.Mutex // guards logs
	logs    map[int]*logPairs
	ctx     context.Context // ends with the proxy; barriers belong to no single request
	flights sync.WaitGroup
}

func newSnapshots(p *Proxy) *snapshots { return &snapshots{p: p, logs: map[int]*logPairs{}} }

// start gives barriers their lifetime; wait, after ctx has ended, waits until none is under way.
func (s *snapshots) start(ctx context.Context) { s.ctx = ctx }

func (s *snapshots) wait() { s.flights.Wait() }

func (s *snapshots) log(n int) *logPairs {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[n]
	if l == nil {
		l = &logPairs{p: s.p, log: n}
		s.logs[n] = l
	}
	return l
}

type logStatus struct {
	Log      int    `json:"log"`
	Position uint64 `json:"position"`
	ReadTS   uint64 `json:"read_ts"`
}

func (s *snapshots) status() []logStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []logStatus
	for n, l := range s.logs {
		newest, _, _ := l.known()
		out = append(out, logStatus{n, newest.position, newest.ts})
	}
	slices.SortFunc(out, func(a, b logStatus) int { return a.Log - b.Log })
	return out
}

// demand is what a read asks of its snapshot.
type demand struct {
	kind demandKind
	ts   uint64 // atLeast and pinned
}

type demandKind int

const (
	newest  demandKind = iota // Strong: every write that was answered before now
	atLeast                   // Session: every write up to ts
	bounded                   // Bounded: what was there the graceful time ago
	anyAge                    // Eventually
	pinned                    // exactly the state at ts
)

// choose returns the snapshot of each log.
func (s *snapshots) choose(ctx context.Context, logs []int, d demand) ([]*pb.Snapshot, error) {
	out := make([]*pb.Snapshot, len(logs))
	g, ctx := errgroup.WithContext(ctx)
	for i, n := range logs {
		g.Go(func() error {
			got, err := s.log(n).choose(ctx, d)
			if err != nil {
				return err
			}
			out[i] = &pb.Snapshot{Log: int32(n), Position: got.position, ReadTs: got.ts}
			if d.kind == pinned {
				out[i].ReadTs = d.ts
			}
			return nil
		})
	}
	return out, g.Wait()
}

// served notes that every node concerned has shown the snapshots.
func (s *snapshots) served(snaps []*pb.Snapshot) {
	for _, snap := range snaps {
		s.log(int(snap.Log)).served(snap)
	}
}

// wrote notes the timestamp of a write that was acknowledged through this proxy.
func (s *snapshots) wrote(log int, ts uint64) {
	l := s.log(log)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrote = max(l.wrote, ts)
}

// logPairs are one log's known pairs and the barriers under way.
//
// A read may join only a barrier that has not been sent yet: one under way may have been answered by the owner before
// a write that was acknowledged before this read began.
type logPairs struct {
	p   *Proxy
	log int

	mu     sync.Mutex // guards all below
	newest pair       // the pair with the highest ts
	passed pair       // the newest one that nodes are known to have shown
	wrote  uint64     // the highest timestamp of a write through this proxy
	flying int
	next   *barrier // not sent yet; there is one only while flying == maxBarriers
}

// maxBarriers bounds the barriers under way per log. Two: the second need not wait for the first's answer.
const maxBarriers = 2

// barrierTimeout bounds one attempt at an owner, so that a dead one is left for its successor.
const barrierTimeout = 5 * time.Second

type barrier struct {
	guarantee uint64
	done      chan struct{}
	got       pair
	err       error
}

func (l *logPairs) known() (newest, passed pair, wrote uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest, l.passed, l.wrote
}

// Times of reads that accept an old snapshot. Within freshFor the known pair serves them; after that a new barrier is
// asked for, but not waited for longer than patience when an acceptable pair is there.
const (
	freshFor = 20 * time.Millisecond
	patience = 100 * time.Millisecond
)

func (l *logPairs) choose(ctx context.Context, d demand) (pair, error) {
	known, passed, wrote := l.known()
	age := time.Since(known.asked)
	fallback := known
	var acceptable bool
	switch d.kind {
	case newest:
		return l.ask(ctx, 0)
	case pinned:
		if known.known() && known.ts >= d.ts {
			return known, nil
		}
		return l.ask(ctx, d.ts)
	case atLeast:
		acceptable = known.known() && known.ts >= d.ts
	case bounded:
		acceptable = known.known() && age < l.p.cfg.GracefulTime
	case anyAge:
		fallback, acceptable = passed, passed.known()
	}
	if !acceptable {
		return l.ask(ctx, d.ts)
	}
	// The rest may be old, but need not be: a barrier costs little, so they see what was written through this proxy and
	// nearly everything else, as long as the owner answers.
	if age < freshFor && known.ts >= max(wrote, d.ts) {
		return known, nil
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := l.ask(short, d.ts)
	if err != nil && ctx.Err() == nil {
		return fallback, nil
	}
	return got, err
}

// ask waits for a barrier that is sent after now.
func (l *logPairs) ask(ctx context.Context, guarantee uint64) (pair, error) {
	for {
		b := l.join(guarantee)
		select {
		case <-b.done:
		case <-ctx.Done():
			return pair{}, fmt.Errorf("wait for a snapshot of log %d: %w", l.log, ctx.Err())
		}
		if b.err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.newest.ts > b.got.ts { // R must not go back
				return l.newest, nil
			}
			return b.got, nil
		}
		if !worthRetry(b.err) && !errs.Is(b.err, errs.Timeout) {
			return pair{}, fmt.Errorf("take a snapshot of log %d: %w", l.log, b.err)
		}
		l.p.metrics.reruns.WithLabelValues("barrier", codeLabel(b.err)).Inc()
		if err := l.p.pause(ctx, b.err); err != nil {
			return pair{}, fmt.Errorf("take a snapshot of log %d: %w", l.log, err)
		}
	}
}

// join returns a barrier that has not been sent yet when it is called. One whose guarantee lies ahead of the clock may
// take long or be refused, so nobody else shares it.
func (l *logPairs) join(guarantee uint64) *barrier {
	if tso.UnixMS(guarantee) > time.Now().UnixMilli() {
		b := &barrier{guarantee: guarantee, done: make(chan struct{})}
		l.p.reads.flights.Go(func() { l.flyAlone(b) })
		return b
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next != nil {
		l.next.guarantee = max(l.next.guarantee, guarantee)
		return l.next
	}
	b := &barrier{guarantee: guarantee, done: make(chan struct{})}
	if l.flying < maxBarriers {
		l.flying++
		l.p.reads.flights.Go(func() { l.fly(b) })
	} else {
		l.next = b
	}
	return b
}

// fly sends a barrier, and those that have gathered behind it.
func (l *logPairs) fly(b *barrier) {
	for b != nil {
		b.got, b.err = l.send(b.guarantee)
		l.mu.Lock()
		if b.err == nil {
			l.learn(b.got)
		}
		close(b.done)
		b, l.next = l.next, nil
		if b == nil {
			l.flying--
		}
		l.mu.Unlock()
	}
}

func (l *logPairs) flyAlone(b *barrier) {
	b.got, b.err = l.send(b.guarantee)
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.err == nil {
		l.learn(b.got)
	}
	close(b.done)
}

// learn keeps the newest pair; mu is held.
func (l *logPairs) learn(got pair) {
	if !l.newest.known() || got.ts > l.newest.ts || got.ts == l.newest.ts && got.asked.After(l.newest.asked) {
		l.newest = got
	}
}

// served notes a snapshot that nodes have shown. A pinned one may lie behind newer ones.
func (l *logPairs) served(snap *pb.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.passed.known() || snap.ReadTs > l.passed.ts {
		l.passed = pair{position: snap.Position, ts: snap.ReadTs, asked: time.Now()}
	}
}

func (l *logPairs) send(guarantee uint64) (pair, error) {
	// Several requests wait for this call, so none of their contexts bounds it.
	ctx, cancel := context.WithTimeout(l.p.reads.ctx, barrierTimeout)
	defer cancel()
	asked := time.Now()
	l.p.metrics.barriers.Inc()
	owner, err := l.p.owner(l.log)
	if err != nil {
		return pair{}, err
	}
	resp, err := owner.Barrier(ctx, &pb.BarrierRequest{Log: int32(l.log), GuaranteeTs: guarantee})
	if err != nil {
		return pair{}, err
	}
	if resp.ReadTs < guarantee {
		return pair{}, errs.New(errs.Internal, "log %d answered a barrier for %d with %d", l.log, guarantee, resp.ReadTs)
	}
	return pair{position: resp.Position, ts: resp.ReadTs, asked: asked}, nil
}

// owner returns the client of a log's present owner.
func (p *Proxy) owner(log int) (pb.DataNodeClient, error) {
	o := p.deps.Cache.Owner(log)
	if o == nil {
		return nil, errs.New(errs.Unavailable, "log %d has no owner at present", log)
	}
	return p.deps.Peers.DataNode(o.Addr)
}
