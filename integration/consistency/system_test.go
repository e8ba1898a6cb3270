package consistency

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// dim is the dimension of every collection here: the vectors carry nothing.
const dim = 4

// lasts is short in `make test` and long in `make test-long`.
func lasts(short, long time.Duration) time.Duration {
	if os.Getenv("GYR_LONG") != "" {
		return long
	}
	return short
}

// system is what the tests run against: one process or a cluster.
type system struct {
	owner   testing.TB // the test whose end ends the processes
	addrs   []string
	clients []*client.Client // one per address
	cluster *harness.Cluster // nil: standalone
	alone   *harness.Standalone
}

// TestStandalone checks every promise on one process.
func TestStandalone(t *testing.T) {
	s := harness.StartStandalone(t, t.TempDir())
	all(t, &system{owner: t, addrs: []string{s.Addr}, alone: s})
}

// TestCluster checks every promise on a cluster, through both proxies.
func TestCluster(t *testing.T) {
	queue := os.Getenv("GYR_TEST_QUEUES")
	if queue == "" {
		queue = "woodpecker"
	}
	c := harness.StartCluster(t, harness.ClusterSpec{MQ: queue})
	all(t, &system{owner: t, addrs: c.Proxies, cluster: c})
}

func all(t *testing.T, s *system) {
	for _, addr := range s.addrs {
		c, err := client.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		s.clients = append(s.clients, c)
	}
	t.Run("Pinned", func(t *testing.T) { pinned(t, s) })
	t.Run("Session", func(t *testing.T) { session(t, s) })
	t.Run("Bounded", func(t *testing.T) { bounded(t, s) })
	t.Run("Linearizable", func(t *testing.T) { linearizable(t, s) })
	if s.cluster != nil {
		t.Run("EventuallyWithoutOwner", func(t *testing.T) { withoutOwner(t, s) })
	}
}

// create makes and loads a collection.
func (s *system) create(t *testing.T, name string, shards int32) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	made, stop := context.WithTimeout(ctx, 60*time.Second)
	defer stop()
	err := s.clients[0].Create(made, client.Spec{Name: name, Dim: dim, Shards: shards, Consistent: commonpb.ConsistencyLevel_Bounded})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	t.Cleanup(func() {
		gone, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, _ = s.clients[0].DropCollection(gone, &milvuspb.DropCollectionRequest{CollectionName: name}) // the next test has its own
	})
	return ctx
}

// any returns the client of a random proxy, and its number.
func (s *system) any(rng *rand.Rand) (*client.Client, int) {
	n := rng.IntN(len(s.clients))
	return s.clients[n], n
}

// row makes a row whose vector says nothing.
func row(key, version int64) client.Row {
	return client.Row{Key: key, Version: version, Vector: []float32{1, 2, 3, float32(key)}}
}

// flushing flushes a collection again and again until ctx ends, so that rows move from growing to sealed segments.
func (s *system) flushing(ctx context.Context, wg *sync.WaitGroup, name string, every time.Duration) {
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			call, cancel := context.WithTimeout(ctx, 10*time.Second)
			_ = s.clients[n%len(s.clients)].FlushWait(call, name) // a disturbed flush may fail; what counts is what reads see
			cancel()
			sleep(ctx, every)
		}
	})
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// process is what a disturbance needs of a standalone or a member.
type process interface {
	Signal(os.Signal)
	Kill()
	Restart(testing.TB)
}

// victim chooses a process of a role; standalone has one for all.
func (s *system) victim(role string, rng *rand.Rand) (process, string) {
	if s.cluster == nil {
		return s.alone, "standalone"
	}
	members := s.cluster.ByRole(role)
	m := members[rng.IntN(len(members))]
	return m, m.Name
}

// disturb kills and pauses the processes of the roles, in random order, until ctx ends. All of them run afterwards.
func (s *system) disturb(ctx context.Context, t *testing.T, rng *rand.Rand, roles []string) {
	t.Helper()
	type act struct {
		role string
		kill bool
	}
	var acts []act
	for _, role := range roles {
		acts = append(acts, act{role, true}, act{role, false})
	}
	rng.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	for n := 0; ; n++ {
		sleep(ctx, time.Duration(300+rng.IntN(900))*time.Millisecond)
		if ctx.Err() != nil {
			return
		}
		a := acts[n%len(acts)]
		p, name := s.victim(a.role, rng)
		if a.kill {
			t.Logf("kill %s", name)
			p.Kill()
			sleep(ctx, time.Duration(rng.IntN(800))*time.Millisecond)
			p.Restart(s.owner)
			continue
		}
		// Some pauses are longer than the leases of 2 s and some are not.
		d := time.Duration(200+rng.IntN(3300)) * time.Millisecond
		t.Logf("pause %s for %s", name, d)
		p.Signal(syscall.SIGSTOP)
		time.Sleep(d)
		p.Signal(syscall.SIGCONT)
	}
}
