package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta/etcd/embedded"
	objmem "github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// TestOverEtcd runs the usual life of a collection, and a change of leader, over a real store in real time.
func TestOverEtcd(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	server, err := embedded.Start(t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	peers := newFakePeers()
	queue := &fakeQueue{logs: map[string]string{}}
	var cache *catalog.Cache
	run := func(id int64) (*Coordinator, func()) {
		store, err := server.Open(ctx, "gyr")
		if err != nil {
			t.Fatal(err)
		}
		cache = catalog.NewCache(store, log)
		cfg := DefaultConfig()
		cfg.Node = catalog.Node{ID: id, Addr: fmt.Sprint("c", id)}
		cfg.Logs, cfg.QueueURL = 2, "mem:"
		c, err := New(cfg, Deps{Meta: store, Cache: cache, Objects: objmem.New(), Peers: peers, Queue: queue, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		runCtx, stop := context.WithCancel(ctx)
		ends := make(chan error, 2)
		go func() { ends <- cache.Run(runCtx) }()
		go func() { ends <- c.Run(runCtx) }()
		for !c.Leading() && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		for _, n := range []catalog.Node{{ID: 3, Role: catalog.RoleQueryNode, Addr: "q3"}, {ID: 5, Role: catalog.RoleProxy, Addr: "p5"}} {
			op, err := catalog.Put(catalog.NodeKey(n.Role, n.ID), n)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.term.Load().editKey(ctx, op); err != nil {
				t.Fatal(err)
			}
		}
		return c, func() {
			stop()
			for range 2 {
				if err := <-ends; err != nil {
					t.Error(err)
				}
			}
			store.Close()
		}
	}
	must := func(ack *pb.Ack, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c, stop := run(1)
	must(c.CreateDatabase(ctx, &pb.DatabaseRequest{Name: "d"}))
	must(c.CreateCollection(ctx, createRequest("a", 3)))
	must(c.CreateIndex(ctx, indexRequest("a", "", "HNSW")))
	must(c.CreateAlias(ctx, &pb.AliasRequest{Db: "default", Alias: "x", Collection: "a"}))
	must(c.Load(ctx, loadRequest("x", 1)))
	awaitLoaded := func() {
		t.Helper()
		for ctx.Err() == nil {
			st, err := c.LoadState(ctx, &pb.LoadStateRequest{Collection: ref("a")})
			if err != nil {
				t.Fatal(err)
			}
			if st.Progress == 100 {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatal("not loaded")
	}
	awaitLoaded()
	first, err := c.AllocTimestamp(ctx, &pb.AllocTimestampRequest{Count: 10})
	if err != nil {
		t.Fatal(err)
	}
	stop()

	c, stop = run(2)
	awaitLoaded()
	second, err := c.AllocTimestamp(ctx, &pb.AllocTimestampRequest{Count: 1})
	if err != nil || second.First <= first.First+9 || second.CoordinatorEpoch <= first.CoordinatorEpoch {
		t.Errorf("after %v comes %v, %v", first, second, err)
	}
	must(c.Release(ctx, &pb.ReleaseRequest{Collection: ref("a")}))
	must(c.DropAlias(ctx, &pb.AliasRequest{Db: "default", Alias: "x"}))
	must(c.DropCollection(ctx, ref("a")))
	must(c.DropDatabase(ctx, &pb.DatabaseRequest{Name: "d"}))
	if len(cache.AllCollections()) != 0 || len(cache.Databases()) != 1 {
		t.Errorf("%d collections, %d databases are left", len(cache.AllCollections()), len(cache.Databases()))
	}
	began := time.Now()
	for i := range 10 {
		must(c.CreateCollection(ctx, createRequest(fmt.Sprint("t", i), 1)))
	}
	t.Logf("creating a collection takes %s", time.Since(began)/10)
	stop()
}
