package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

func TestOnePortSpeaksBoth(t *testing.T) {
	w := newWorld(t)
	addr := w.proxy.deps.Listener.Addr().String()
	resp, err := http.Get("http://" + addr + "/nosuch")
	mustStatus(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "/nosuch") {
		t.Fatalf("%d %s, %v", resp.StatusCode, body, err)
	}
	// A byte at a time, and a request that is no HTTP at all.
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "nonsense\r\n\r\n"} {
		conn, err := net.Dial("tcp", addr)
		mustStatus(t, err)
		for i := range text {
			if _, err := conn.Write([]byte{text[i]}); err != nil {
				break
			}
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 40") {
			t.Errorf("%q: %q, %v", text, line, err)
		}
		conn.Close()
	}
	v, err := w.client().GetVersion(testContext(t), &milvuspb.GetVersionRequest{})
	ok(t, v, err)
}

func TestASilentConnectionDoesNotHoldUpTheStop(t *testing.T) {
	w := newWorld(t)
	conn, err := net.Dial("tcp", w.proxy.deps.Listener.Addr().String())
	mustStatus(t, err)
	t.Cleanup(func() { conn.Close() })
	time.Sleep(20 * time.Millisecond) // it is accepted; the world's cleanup now stops the proxy beside it
}

func TestGate(t *testing.T) {
	g := newGate(2, 10<<20)
	ctx := testContext(t)
	a, err := g.enter(ctx)
	mustStatus(t, err)
	a.holds(20 << 20) // more than the bound: nothing else comes in
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := g.enter(short); !errs.Is(err, errs.TooManyRequests) {
		t.Fatalf("%v", err)
	}
	entered := make(chan *ticket)
	go func() {
		b, _ := g.enter(ctx)
		entered <- b
	}()
	a.leave()
	b := <-entered
	if b == nil {
		t.Fatal("the one that waited did not come in")
	}
	b.holds(100)
	if n, bytes := g.load(); n != 1 || bytes != 100 {
		t.Errorf("%d requests, %d bytes", n, bytes)
	}
	b.leave()
	if n, bytes := g.load(); n != 0 || bytes != 0 {
		t.Errorf("%d requests, %d bytes", n, bytes)
	}
}

func TestAFullProxyAnswersWithAStatus(t *testing.T) {
	w := newWorld(t)
	w.proxy.gate.mu.Lock()
	w.proxy.gate.waiting = w.proxy.gate.maxRequests
	w.proxy.gate.mu.Unlock()
	resp, err := w.client().Query(testContext(t), &milvuspb.QueryRequest{})
	wantStatus(t, resp.GetStatus(), err, errs.TooManyRequests, commonpb.ErrorCode_UnexpectedError, "")
	if !resp.Status.Retriable {
		t.Error("it may be tried again")
	}
	w.proxy.gate.mu.Lock()
	w.proxy.gate.waiting = 0
	w.proxy.gate.mu.Unlock()
}

// TestReadsJoinOnlyBarriersThatHaveNotBegun: a barrier on its way may have been answered before a write that the new
// read must see.
func TestReadsJoinOnlyBarriersThatHaveNotBegun(t *testing.T) {
	w := newWorld(t)
	l := w.proxy.reads.log(0)
	l.mu.Lock()
	l.flying = maxBarriers // as many are on their way as may be
	l.mu.Unlock()
	first := l.join(5)
	second := l.join(9)
	if first != second || first.guarantee != 9 {
		t.Fatalf("two reads wait for one barrier that grants both: %v", first.guarantee)
	}
	l.mu.Lock()
	l.flying = maxBarriers - 1
	l.next = nil
	l.mu.Unlock()
	third := l.join(0)
	fourth := l.join(0)
	if third == fourth {
		t.Fatal("the third is on its way and must not be joined")
	}
	<-third.done
	if third.err != nil || third.got.position == 0 && third.got.ts != 0 {
		t.Fatalf("%+v", third)
	}
	<-fourth.done
}

// TestReadTimestampsNeverGoBack: under concurrent reads of every level, the snapshot of a read that begins after another
// one has finished is not older.
func TestReadTimestampsNeverGoBack(t *testing.T) {
	w := newWorld(t)
	ctx := testContext(t)
	var mu sync.Mutex
	finished := uint64(0)
	var wg sync.WaitGroup
	failures := make(chan error, 16)
	for i := range 8 {
		wg.Go(func() {
			for j := range 60 {
				mu.Lock()
				before := finished
				if j%7 == 0 {
					w.mu.Lock()
					w.stamp()
					w.mu.Unlock()
				}
				mu.Unlock()
				d := demand{kind: []demandKind{newest, bounded, anyAge, atLeast}[(i+j)%4]}
				snaps, err := w.proxy.reads.choose(ctx, []int{0}, d)
				if err == nil && snaps[0].ReadTs < before {
					err = fmt.Errorf("a read of kind %d at %d began after one at %d had finished", d.kind, snaps[0].ReadTs, before)
				}
				if err != nil {
					failures <- err
					return
				}
				w.proxy.reads.served(snaps)
				mu.Lock()
				finished = max(finished, snaps[0].ReadTs)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	close(failures)
	if err := errors.Join(<-failures); err != nil {
		t.Fatal(err)
	}
}

func TestEventuallyReadsGoOnWithoutAnOwner(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 1)
	insertRows(t, w, "c", 1, 2, 3)
	req := &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0", ConsistencyLevel: commonpb.ConsistencyLevel_Eventually}
	if got := queryIDs(t, w, req); len(got) != 3 {
		t.Fatal(got)
	}
	var all []error
	for range 1000 {
		all = append(all, errs.New(errs.NotOwner, "x"))
	}
	w.failNext("Barrier", all...)
	time.Sleep(2 * freshFor)
	if got := queryIDs(t, w, req); len(got) != 3 {
		t.Fatal(got)
	}
}

func FuzzPlaceholders(f *testing.F) {
	types := append(packedTypes(), schema.FloatVector)
	for i := range types {
		f.Add(placeholders(f, []float32{1, 2}, []float32{3, 4}).PlaceholderGroup, byte(i))
	}
	f.Add([]byte{}, byte(0))
	f.Fuzz(func(t *testing.T, raw []byte, kind byte) {
		field := &schema.Field{Name: "vec", Type: types[int(kind)%len(types)], Dim: 2}
		nq, vectors, err := parsePlaceholders(raw, field)
		if err == nil && len(vectors) != nq*field.Type.RowBytes(2) {
			t.Fatalf("%d queries with %d bytes", nq, len(vectors))
		}
	})
}

func FuzzParams(f *testing.F) {
	f.Add(`{"a": 1, "b": [1, {"c": null}], "a": "2"}`)
	f.Add(`{`)
	f.Fuzz(func(t *testing.T, text string) {
		values, keys, err := jsonParams(text)
		if err == nil && len(values) != len(keys) {
			t.Fatalf("%d values, %d keys", len(values), len(keys))
		}
	})
}
