package consistency

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
)

// lives are how long a slot's key is in use before the slot takes a new one. Short lives keep the search for an order
// short; the long ones carry keys through many seals. 0: the whole test.
var lives = []time.Duration{2 * time.Second, 3 * time.Second, 5 * time.Second, 8 * time.Second, 0}

// strong is a workload on few keys whose every answer is recorded.
type strong struct {
	s       *system
	name    string
	h       *History
	begin   time.Time
	version atomic.Int64 // every upsert has its own
	keys    sync.Map     // int64 -> struct{}: the keys ever used
}

// linearizable: under Strong the history of every key is linearizable, whatever happens to owners, coordinators, query
// nodes (or the one process) and while segments are sealed all the time.
func linearizable(t *testing.T, s *system) {
	const name = "linear"
	ctx := s.create(t, name, 3)
	w := &strong{s: s, name: name, h: NewHistory(), begin: time.Now()}
	work, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() { w.client(work, rand.New(rand.NewPCG(uint64(i), 1))) })
	}
	s.flushing(work, &wg, name, 500*time.Millisecond)
	d := lasts(8*time.Second, 60*time.Second)
	if s.cluster != nil {
		d = lasts(15*time.Second, 5*time.Minute)
	}
	disturbed, cancel := context.WithTimeout(work, d)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s.disturb(disturbed, t, rand.New(rand.NewPCG(seed, 2)), []string{"datanode", "coordinator", "querynode"})
	cancel()
	time.Sleep(time.Second)
	stop()
	wg.Wait()
	w.last(ctx, t)
	done, unknown := w.h.Counts()
	t.Logf("%d answered operations, %d writes of unknown outcome", done, unknown)
	if done < 200 {
		t.Errorf("only %d operations were answered: the test has no bite", done)
	}
	begin := time.Now()
	if err := w.h.Check(name, time.Minute); err != nil {
		t.Error(err)
	}
	t.Logf("checked in %s", time.Since(begin).Round(time.Millisecond))
}

func (w *strong) client(ctx context.Context, rng *rand.Rand) {
	id := w.h.Client()
	for ctx.Err() == nil {
		if !w.step(ctx, rng, id) {
			id = w.h.Client()
			sleep(ctx, 100*time.Millisecond) // writes of unknown outcome are what makes the search for an order long
		}
		sleep(ctx, time.Duration(rng.IntN(20))*time.Millisecond)
	}
}

// key is the present key of a random slot.
func (w *strong) key(rng *rand.Rand) int64 {
	slot := rng.IntN(len(lives))
	k := int64(slot+1) * 1_000_000
	if life := lives[slot]; life > 0 {
		k += int64(time.Since(w.begin) / life)
	}
	w.keys.Store(k, struct{}{})
	return k
}

// step does one operation and reports whether its outcome is known.
func (w *strong) step(ctx context.Context, rng *rand.Rand, id int) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, proxy := w.s.any(rng)
	in := Input{Key: w.key(rng), Via: fmt.Sprintf("(proxy %d)", proxy+1)}
	called := w.h.Now()
	var err error
	switch n := rng.IntN(20); {
	case n < 8:
		in.Kind, in.Version = Upsert, w.version.Add(1)
		_, err = upsert(ctx, c, w.name, row(in.Key, in.Version))
	case n < 10:
		in.Kind = Delete
		_, err = remove(ctx, c, w.name, in.Key)
	default:
		in.Kind = Read
		var rows []seen
		a := ask{name: w.name, expr: fmt.Sprintf("key == %d", in.Key), level: commonpb.ConsistencyLevel_Strong}
		if n < 16 {
			rows, _, err = query(ctx, c, a)
		} else {
			in.Via = "by search " + in.Via
			rows, err = search(ctx, c, a)
		}
		if err == nil {
			w.h.Done(id, in, called, one(rows))
		}
		return true
	}
	if err != nil {
		w.h.Unknown(id, in, called)
		return false
	}
	w.h.Done(id, in, called, Absent)
	return true
}

// last reads every key that was ever used, through each proxy, when nothing is disturbed any more: within 20 s each
// answers.
func (w *strong) last(ctx context.Context, t *testing.T) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	id := w.h.Client()
	w.keys.Range(func(k, _ any) bool {
		for n, c := range w.s.clients {
			for {
				called := w.h.Now()
				rows, _, err := query(ctx, c, ask{name: w.name, expr: fmt.Sprintf("key == %d", k), level: commonpb.ConsistencyLevel_Strong})
				if err == nil {
					w.h.Done(id, Input{Kind: Read, Key: k.(int64), Via: fmt.Sprintf("at last (proxy %d)", n+1)}, called, one(rows))
					break
				}
				if ctx.Err() != nil {
					t.Errorf("key %d cannot be read after the disturbances: %v", k, err)
					return false
				}
				sleep(ctx, 50*time.Millisecond)
			}
		}
		return true
	})
}
