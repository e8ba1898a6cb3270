package wal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// dice is a seeded source of chance.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{r: rand.New(rand.NewPCG(seed, 1))} }

func (d *dice) chance(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.Float64() < p
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// span is mostly short, now and then up to most.
func (d *dice) span(usual, most time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.r.Float64() < 0.07 {
		usual = most
	}
	return time.Duration(d.r.Int64N(int64(usual)) + 1)
}

func nap(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// simLog is the queue's log: what is durable.
type simLog struct {
	mu      sync.Mutex
	entries [][]byte // entry i has position i+1
	changed chan struct{}
}

func (l *simLog) persist(data []byte) mq.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, data)
	close(l.changed)
	l.changed = make(chan struct{})
	return mq.Position(len(l.entries))
}

// Read implements the reading half of mq.Log.
func (l *simLog) Read(ctx context.Context, from mq.Position, _ int) ([]mq.Entry, error) {
	from = max(from, 1)
	for {
		l.mu.Lock()
		changed := l.changed
		var out []mq.Entry
		for i := int(from) - 1; i < len(l.entries) && len(out) < 3; i++ {
			out = append(out, mq.Entry{Position: mq.Position(i + 1), Data: l.entries[i]})
		}
		l.mu.Unlock()
		if len(out) > 0 {
			return out, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func (l *simLog) Tail(context.Context) (mq.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return mq.Position(len(l.entries)) + 1, nil
}

// simMeta is the metadata store: every method is one linearizable step.
type simMeta struct {
	mu          sync.Mutex
	owner       int // node, 0: none
	ownerEpoch  uint64
	epoch       uint64
	oracleEpoch int64
	checkpoint  Start
	lastTS      tso.Timestamp
}

// simOracle is one coordinator's oracle; a replaced one goes on answering up to its bound.
type simOracle struct {
	mu    sync.Mutex
	next  tso.Timestamp
	bound tso.Timestamp
	epoch int64
}

func (o *simOracle) take(n uint32) (Timestamps, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next+uint64(n) > o.bound {
		if o.epoch < 0 {
			return Timestamps{}, fmt.Errorf("bound reached")
		}
		o.bound = o.next + uint64(n) + 500
	}
	first := o.next
	o.next += uint64(n)
	return Timestamps{First: first, Count: n, Epoch: max(o.epoch, -o.epoch)}, nil
}

// world is a log with two nodes that want to own it, clients, and faults.
type world struct {
	dice *dice
	log  *simLog
	meta simMeta
	lax  laxWriter
	wg   sync.WaitGroup

	mu      sync.Mutex // guards all below
	oracles []*simOracle
	writers map[int]*Writer
	cancels map[int]context.CancelFunc
	acks    []simAck
	bars    []simBarrier
	nextID  int64
	calm    bool
}

type simAck struct {
	id  int64
	ack Ack
}

type simBarrier struct {
	need int // acks known before the call
	got  Barrier
	g    tso.Timestamp
}

func newWorld(seed uint64, lax laxWriter) *world {
	w := &world{
		dice: newDice(seed), log: &simLog{changed: make(chan struct{})}, lax: lax,
		writers: map[int]*Writer{}, cancels: map[int]context.CancelFunc{},
	}
	w.oracles = []*simOracle{{next: 1 << 40, bound: 1<<40 + 500, epoch: 1}}
	w.meta.oracleEpoch = 1
	return w
}

// step is a call over the network to something with one linearization point.
func (w *world) step(ctx context.Context, usual, most time.Duration, at func()) error {
	if !nap(ctx, w.dice.span(usual, most)) {
		return ctx.Err()
	}
	at()
	if !nap(ctx, w.dice.span(usual, most)) {
		return ctx.Err()
	}
	return nil
}

// simQueue is a node's connection to the log.
type simQueue struct {
	*simLog
	w *world
}

func (q simQueue) Append(ctx context.Context, data []byte, _ mq.AppendOptions) (mq.Position, error) {
	w := q.w
	late := func(at time.Duration) {
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			time.Sleep(at)
			q.persist(data)
		}()
	}
	roll := 100
	if !w.isCalm() {
		roll = w.dice.n(100)
	}
	if !nap(ctx, w.dice.span(2*time.Millisecond, time.Second)) {
		if roll < 50 {
			late(w.dice.span(20*time.Millisecond, time.Second))
		}
		return 0, ctx.Err()
	}
	switch {
	case roll < 3:
		return 0, fmt.Errorf("cut before: %w", mq.ErrUncertain)
	case roll < 6:
		q.persist(data)
		return 0, fmt.Errorf("cut after: %w", mq.ErrUncertain)
	case roll < 9:
		late(w.dice.span(50*time.Millisecond, time.Second))
		return 0, fmt.Errorf("timed out: %w", mq.ErrUncertain)
	case roll < 13:
		return 0, fmt.Errorf("no room: %w", mq.ErrFull)
	case roll < 16:
		late(w.dice.span(20*time.Millisecond, time.Second)) // the client library sends it twice
	}
	at := q.persist(data)
	if !nap(ctx, w.dice.span(2*time.Millisecond, time.Second)) {
		return 0, ctx.Err()
	}
	return at, nil
}

func (q simQueue) Truncate(context.Context, mq.Position) error { return nil }
func (q simQueue) Close() error                                { return nil }

func (w *world) isCalm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

// Timestamps implements Oracle for a node: it may reach a replaced coordinator.
func (w *world) Timestamps(ctx context.Context, n uint32) (got Timestamps, err error) {
	w.mu.Lock()
	o := w.oracles[len(w.oracles)-1]
	if len(w.oracles) > 1 && w.dice.chance(0.3) {
		o = w.oracles[len(w.oracles)-2]
	}
	w.mu.Unlock()
	if e := w.step(ctx, time.Millisecond, 50*time.Millisecond, func() { got, err = o.take(n) }); e != nil {
		return got, e
	}
	return got, err
}

// failOver replaces the coordinator; the old one does not notice.
func (w *world) failOver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.oracles[len(w.oracles)-1]
	old.mu.Lock()
	bound, epoch := old.bound, old.epoch
	old.epoch = -epoch // it can raise its bound no more
	old.mu.Unlock()
	w.meta.mu.Lock()
	w.meta.oracleEpoch = epoch + 1
	w.meta.mu.Unlock()
	w.oracles = append(w.oracles, &simOracle{next: bound, bound: bound + 500, epoch: epoch + 1})
}

// node takes the log whenever nobody has it.
func (w *world) node(ctx context.Context, id int) {
	for ctx.Err() == nil {
		cfg := Config{
			lax: w.lax, RetryMin: time.Millisecond, RetryMax: 50 * time.Millisecond, AppendTimeout: 300 * time.Millisecond,
			ConfirmTimeout: 5 * time.Second, MaxGroupRecords: 8,
		}
		granted := false
		_ = w.step(ctx, time.Millisecond, 100*time.Millisecond, func() { cfg.Epoch, granted = w.meta.acquire(id) })
		if !granted {
			nap(ctx, 20*time.Millisecond)
			continue
		}
		_ = w.step(ctx, time.Millisecond, 100*time.Millisecond, func() {
			w.meta.mu.Lock()
			cfg.Start, cfg.LastTS, cfg.OracleEpoch = w.meta.checkpoint, w.meta.lastTS, w.meta.oracleEpoch
			w.meta.mu.Unlock()
		})
		w.own(ctx, id, cfg)
	}
}

func (m *simMeta) acquire(node int) (uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owner != 0 {
		return 0, false
	}
	m.epoch++
	m.owner, m.ownerEpoch = node, m.epoch
	return m.epoch, true
}

func (m *simMeta) owns(epoch uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owner != 0 && m.ownerEpoch == epoch
}

// own runs a writer until the node learns that it lost the log.
func (w *world) own(ctx context.Context, id int, cfg Config) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	w.cancels[id] = cancel
	w.mu.Unlock()
	writer, err := Open(ctx, cfg, Deps{
		Log: simQueue{w.log, w}, Oracle: w,
		Confirm: func(ctx context.Context) error {
			mine := false
			if err := w.step(ctx, 2*time.Millisecond, 900*time.Millisecond, func() { mine = w.meta.owns(cfg.Epoch) }); err != nil {
				return err
			}
			if w.lax.joinUnderway { // such a confirmation must be under way for long to be noticed
				nap(ctx, w.dice.span(400*time.Millisecond, time.Second))
			}
			if !mine {
				return errs.New(errs.NotOwner, "not the owner")
			}
			return nil
		},
		Apply:  func(Start, Accepted) error { return nil },
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		w.leave(cfg.Epoch)
		return
	}
	w.mu.Lock()
	w.writers[id] = writer
	w.mu.Unlock()
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		w.checkpoints(ctx, writer, cfg.Epoch)
	}()
	_ = writer.Run(ctx)
	w.leave(cfg.Epoch)
}

// leave gives the log up if this epoch still has it.
func (w *world) leave(epoch uint64) {
	w.meta.mu.Lock()
	defer w.meta.mu.Unlock()
	if w.meta.ownerEpoch == epoch {
		w.meta.owner = 0
	}
}

// checkpoints moves the checkpoint now and then, by a transaction that compares the epoch.
func (w *world) checkpoints(ctx context.Context, writer *Writer, epoch uint64) {
	for nap(ctx, w.dice.span(200*time.Millisecond, time.Second)) {
		at, ts := writer.Acked()
		_ = w.step(ctx, time.Millisecond, 300*time.Millisecond, func() {
			w.meta.mu.Lock()
			defer w.meta.mu.Unlock()
			if w.meta.epoch == epoch {
				w.meta.checkpoint, w.meta.lastTS = at, ts
			}
		})
	}
}

// expire ends the lease of the owner, who learns of it some time later, and replaces the coordinator now and then.
func (w *world) chaos(ctx context.Context) {
	for nap(ctx, w.dice.span(300*time.Millisecond, time.Second)) {
		if w.dice.chance(0.3) {
			w.failOver()
		}
		w.meta.mu.Lock()
		id := w.meta.owner
		w.meta.owner = 0
		w.meta.mu.Unlock()
		w.mu.Lock()
		cancel := w.cancels[id]
		w.mu.Unlock()
		if cancel == nil {
			continue
		}
		after := w.dice.span(700*time.Millisecond, 3*time.Second)
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			nap(ctx, after)
			cancel()
		}()
	}
}

// pick returns the writer of a node, which may have lost the log without knowing.
func (w *world) pick() *Writer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writers[1+w.dice.n(2)]
}

func (w *world) write(ctx context.Context) {
	writer := w.pick()
	if writer == nil {
		return
	}
	w.mu.Lock()
	w.nextID++
	id := w.nextID
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, w.dice.span(500*time.Millisecond, 5*time.Second))
	defer cancel()
	ack, err := writer.Append(ctx, Request{Bytes: 10, Build: func(tso.Timestamp) (Record, error) {
		return Record{Kind: Insert, Collection: id}, nil
	}})
	if err != nil {
		return
	}
	w.mu.Lock()
	w.acks = append(w.acks, simAck{id, ack})
	w.mu.Unlock()
}

func (w *world) barrier(ctx context.Context) {
	g := tso.Timestamp(0)
	if w.dice.chance(0.5) { // a token from a write in another log
		w.mu.Lock()
		o := w.oracles[len(w.oracles)-1]
		w.mu.Unlock()
		got, _ := o.take(1)
		g = got.First
	}
	writer := w.pick()
	if writer == nil {
		return
	}
	w.mu.Lock()
	need := len(w.acks)
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b, err := writer.Barrier(ctx, g)
	if err != nil {
		return
	}
	w.mu.Lock()
	w.bars = append(w.bars, simBarrier{need, b, g})
	w.mu.Unlock()
}

// run lets the world live for a while and returns when everything has come to rest.
func (w *world) run(life time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), life)
	defer cancel()
	loop := func(pause time.Duration, f func(context.Context)) {
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			for nap(ctx, w.dice.span(pause, 20*pause)) {
				f(ctx)
			}
		}()
	}
	for range 5 {
		loop(4*time.Millisecond, w.write)
	}
	for range 4 {
		loop(4*time.Millisecond, w.barrier)
	}
	for id := 1; id <= 2; id++ {
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			w.node(ctx, id)
		}()
	}
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		w.chaos(ctx)
	}()
	w.wg.Wait()
}
