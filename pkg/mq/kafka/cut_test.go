package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/gyr-db/gyr/pkg/mq"
)

// cutConn is a connection that breaks after some bytes, either way.
type cutConn struct {
	net.Conn
	mu   sync.Mutex // guards left
	left int
}

func (c *cutConn) spend(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= n; c.left < 0 {
		_ = c.Close()
		return errors.New("connection cut")
	}
	return nil
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if cut := c.spend(n); cut != nil {
		return 0, cut // the answer is lost
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	if err := c.spend(len(p)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// TestConnectionsCut: a writer whose connections break resends what is uncertain. Everything acknowledged is there, at
// its position; each entry may be there several times, but none before its predecessor.
func TestConnectionsCut(t *testing.T) {
	_, reader := realLog(t, 1000)
	q := connect(t, reader.cfg)
	l, err := q.Open(t.Context(), testID, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	var mu sync.Mutex // guards r
	transport := l.(*log).client.Transport.(*kafkago.Transport)
	transport.CloseIdleConnections()
	cutting := &kafkago.Transport{
		ClientID: "cut", MetadataTTL: 200 * time.Millisecond, MetadataTopics: transport.MetadataTopics, Context: q.ctx,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			return &cutConn{Conn: conn, left: 3000 + r.IntN(15000)}, nil
		},
	}
	l.(*log).client.Transport = cutting
	const n = 150
	acked := map[mq.Position]string{}
	uncertain := 0
	for i := range n {
		data := fmt.Sprintf("%d %s", i, strings.Repeat("x", (i%7)*500))
		p, err := l.Append(t.Context(), []byte(data), mq.AppendOptions{})
		for errors.Is(err, mq.ErrUncertain) {
			uncertain++
			p, err = l.Append(t.Context(), []byte(data), mq.AppendOptions{})
		}
		if err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
		acked[p] = data
	}
	next, entries := 0, 0
	for from := mq.Position(0); next < n; {
		got, err := reader.Read(t.Context(), from, 10000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got {
			var i int
			if _, err := fmt.Sscan(string(e.Data), &i); err != nil || i > next {
				t.Fatalf("at %d: entry %d, the next is %d", e.Position, i, next)
			}
			if want, ok := acked[e.Position]; ok && want != string(e.Data) {
				t.Errorf("at %d: %.20q, acknowledged was %.20q", e.Position, e.Data, want)
			}
			delete(acked, e.Position)
			next = max(next, i+1)
			from, entries = e.Position+1, entries+1
		}
	}
	if len(acked) > 1 { // the last one may be there a second time, further on
		t.Errorf("acknowledged, not read: %d", len(acked))
	}
	if uncertain == 0 {
		t.Error("no connection broke in an append")
	}
	t.Logf("%d entries for %d appends, %d uncertain", entries, n, uncertain)
}
