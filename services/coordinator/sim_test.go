package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/fault"
	"github.com/gyr-db/gyr/pkg/meta"
	metafault "github.com/gyr-db/gyr/pkg/meta/fault"
	metamem "github.com/gyr-db/gyr/pkg/meta/mem"
	objmem "github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// sim is a cluster of coordinators whose stores fail at random, and one client that retries nothing.
type sim struct {
	t     *testing.T
	r     *rand.Rand
	ctx   context.Context
	store *metamem.Store
	procs []*simProc
	last  uint64         // highest timestamp seen
	ids   map[int64]bool // every id seen
	acked map[string]int64
	calls map[string]int
}

type simProc struct {
	c     *Coordinator
	meta  *metafault.Store
	late  *lateStore
	clock atomic.Int64 // how far its clock is off, ns
}

// lateStore gives up on some transactions before they are made, and makes them later.
type lateStore struct {
	meta.Store
	mu    sync.Mutex
	delay time.Duration // of the next transaction; 0: none
	wg    sync.WaitGroup
}

func (l *lateStore) Txn(ctx context.Context, cmps []meta.Compare, ops []meta.Op) (int64, bool, error) {
	l.mu.Lock()
	delay := l.delay
	l.delay = 0
	l.mu.Unlock()
	if delay == 0 {
		return l.Store.Txn(ctx, cmps, ops)
	}
	l.wg.Go(func() {
		time.Sleep(delay)
		_, _, _ = l.Store.Txn(context.WithoutCancel(ctx), cmps, ops)
	})
	return 0, false, meta.ErrUnavailable
}

func TestSimulation(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &sim{t: t, r: rand.New(rand.NewPCG(seed, 1)), ctx: ctx, store: metamem.New(), ids: map[int64]bool{}, acked: map[string]int64{}, calls: map[string]int{}}
	var ends []chan struct{}
	queue, peers := &fakeQueue{logs: map[string]string{}}, newFakePeers()
	for i := range 3 {
		late := &lateStore{Store: s.store.Dial()}
		p := &simProc{meta: metafault.New(late), late: late}
		p.clock.Store(int64(s.r.IntN(5)-2) * int64(time.Second))
		cache := catalog.NewCache(p.meta, slog.New(slog.DiscardHandler))
		cfg := DefaultConfig()
		cfg.Node = catalog.Node{ID: int64(i + 1), Addr: fmt.Sprint("c", i+1)}
		cfg.Logs, cfg.QueueURL = 2, "mem:"
		c, err := New(cfg, Deps{
			Meta: p.meta, Cache: cache, Objects: objmem.New(), Peers: peers, Queue: queue,
			Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(time.Duration(p.clock.Load())) },
		})
		if err != nil {
			t.Fatal(err)
		}
		p.c = c
		s.procs = append(s.procs, p)
		for _, run := range []func(context.Context) error{cache.Run, c.Run} {
			end := make(chan struct{})
			ends = append(ends, end)
			go func() { defer close(end); _ = run(ctx) }()
		}
	}
	for step := range 400 {
		s.trouble()
		s.act()
		s.check(step)
		time.Sleep(time.Duration(s.r.IntN(200)) * time.Millisecond)
	}
	s.recover()
	cancel()
	for _, end := range ends {
		<-end
	}
	for _, p := range s.procs {
		p.late.wg.Wait()
		p.meta.Heal()
		p.meta.Close()
	}
	s.store.Close()
	t.Logf("calls %v, %d terms", s.calls, s.calls["term"])
}

// trouble changes which faults are in force.
func (s *sim) trouble() {
	p := s.procs[s.r.IntN(len(s.procs))]
	switch s.r.IntN(25) {
	case 0:
		p.meta.Partition()
		s.calls["partition"]++
	case 1, 2, 3:
		for _, p := range s.procs {
			p.meta.Clear()
			p.meta.Heal()
		}
	case 4:
		p.meta.Add(fault.Rule{Op: metafault.Txn, Skip: s.r.IntN(4), Times: 1, After: true})
	case 5:
		p.meta.Add(fault.Rule{Op: metafault.Txn, Times: 1 + s.r.IntN(3), Err: errors.New("store is busy")})
	case 6:
		p.meta.Add(fault.Rule{Op: metafault.Txn, Times: 2, Delay: time.Duration(s.r.IntN(5000)) * time.Millisecond})
	case 7:
		p.meta.BreakWatches(meta.ErrCompacted)
	case 8:
		if kv, err := s.store.Get(s.ctx, catalog.LeaderKey); err == nil {
			s.store.Expire(kv.Lease)
			s.calls["term"]++
		}
	case 10, 11, 12, 13:
		for _, p := range s.procs {
			p.late.mu.Lock()
			p.late.delay = time.Duration(1+s.r.IntN(3000)) * time.Millisecond
			p.late.mu.Unlock()
		}
	case 9:
		p.clock.Add(int64(s.r.IntN(2000)-1000) * int64(time.Millisecond))
	}
}

// act makes one call of any process that believes to lead.
func (s *sim) act() {
	var leaders []*simProc
	for _, p := range s.procs {
		if p.c.Leading() {
			leaders = append(leaders, p)
		}
	}
	if len(leaders) == 0 {
		return
	}
	c := leaders[s.r.IntN(len(leaders))].c
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Second)
	defer cancel()
	name, other := fmt.Sprint("n", s.r.IntN(4)), fmt.Sprint("n", s.r.IntN(4))
	switch s.r.IntN(8) {
	case 0, 1:
		s.timestamps(ctx, c, len(leaders) == 1)
	case 2:
		s.allocIDs(ctx, c)
	case 3, 4:
		ack, err := c.CreateCollection(ctx, createRequest(name, 2))
		s.outcome("create", err)
		if err == nil {
			s.acked[name] = ack.Id
		}
	case 5:
		_, err := c.DropCollection(ctx, ref(name))
		s.outcome("drop", err)
		delete(s.acked, name) // dropped, or nobody knows
	case 6:
		_, err := c.RenameCollection(ctx, &pb.RenameCollectionRequest{Db: "default", Name: name, NewName: other})
		s.outcome("rename", err)
		if errs.CodeOf(err) != errs.InvalidParameter && errs.CodeOf(err) != errs.CollectionNotFound {
			delete(s.acked, name)
			delete(s.acked, other)
		}
	case 7:
		_, err := c.CreateAlias(ctx, &pb.AliasRequest{Db: "default", Alias: other, Collection: name})
		s.outcome("alias", err)
		if err != nil {
			_, err = c.DropAlias(ctx, &pb.AliasRequest{Db: "default", Alias: other})
			s.outcome("drop alias", err)
		}
	}
}

func (s *sim) outcome(call string, err error) {
	if err == nil {
		s.calls[call+" ok"]++
	} else {
		s.calls[call+" failed"]++
	}
}

// timestamps checks the order. With two that believe to lead, the former one's are below the bound from which the other
// starts; readers and owners tell them by the epoch.
func (s *sim) timestamps(ctx context.Context, c *Coordinator, only bool) {
	resp, err := c.AllocTimestamp(ctx, &pb.AllocTimestampRequest{Count: uint32(1 + s.r.IntN(10))})
	s.outcome("timestamps", err)
	if err != nil {
		return
	}
	newest, _ := s.epoch()
	switch {
	case resp.CoordinatorEpoch == newest && resp.First <= s.last:
		s.t.Fatalf("timestamp %d of epoch %d after %d", resp.First, resp.CoordinatorEpoch, s.last)
	case resp.CoordinatorEpoch == newest || only:
		s.last = max(s.last, resp.First+uint64(resp.Count)-1)
	}
}

func (s *sim) epoch() (int64, bool) {
	kv, err := s.store.Get(s.ctx, catalog.LeaderKey)
	return kv.ModRev, err == nil
}

func (s *sim) allocIDs(ctx context.Context, c *Coordinator) {
	resp, err := c.AllocID(ctx, &pb.AllocIDRequest{Count: 7})
	s.outcome("ids", err)
	for k := range int64(7) {
		if err == nil && s.ids[resp.First+k] {
			s.t.Fatalf("id %d was handed out twice", resp.First+k)
		}
		if err == nil {
			s.ids[resp.First+k] = true
		}
	}
}

// check reads the store itself: whatever happened, the catalog is whole.
func (s *sim) check(step int) {
	colls, _, err := catalog.ReadAll[catalog.Collection](s.ctx, s.store, catalog.CollectionPrefix)
	if err != nil {
		s.t.Fatal(err)
	}
	names := map[string]int64{}
	for _, c := range colls {
		if c.State == catalog.Dropping {
			continue
		}
		if other, taken := names[c.Name]; taken {
			s.t.Fatalf("step %d: collections %d and %d are both called %s", step, other, c.ID, c.Name)
		}
		names[c.Name] = c.ID
		for i, log := range c.ShardLogs {
			if sh, _, err := catalog.Read[catalog.Shard](s.ctx, s.store, catalog.ShardKey(c.ID, i)); err != nil || sh.Log != log {
				s.t.Fatalf("step %d: shard %d of collection %d: %+v, %v", step, i, c.ID, sh, err)
			}
		}
	}
	aliases, _, err := s.store.List(s.ctx, catalog.AliasPrefix)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, kv := range aliases {
		if alias := strings.TrimPrefix(kv.Key, catalog.AliasPrefix+"default/"); names[alias] != 0 {
			s.t.Fatalf("step %d: %s is an alias and a collection", step, alias)
		}
	}
	for name, id := range s.acked {
		if names[name] != id {
			s.t.Fatalf("step %d: the creation of %s as %d was acknowledged, the catalog has %d", step, name, id, names[name])
		}
	}
}

// recover heals everything and expects a leader that works.
func (s *sim) recover() {
	for _, p := range s.procs {
		p.meta.Clear()
		p.meta.Heal()
		p.clock.Store(0)
	}
	time.Sleep(30 * time.Second)
	leading := 0
	for _, p := range s.procs {
		if p.c.Leading() {
			leading++
			if _, err := p.c.CreateCollection(s.ctx, createRequest("after_all", 1)); err != nil {
				s.t.Errorf("after all is healed: %v", err)
			}
		}
	}
	if leading != 1 {
		s.t.Errorf("%d coordinators lead after all is healed", leading)
	}
	colls, _, _ := catalog.ReadAll[catalog.Collection](s.ctx, s.store, catalog.CollectionPrefix)
	for _, c := range colls {
		if c.State == catalog.Dropping {
			s.t.Errorf("collection %d is still being dropped", c.ID)
		}
	}
}
