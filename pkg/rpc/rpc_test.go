package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

type coordinator struct {
	pb.CoordinatorServer
	err error
}

func (c coordinator) AllocID(ctx context.Context, r *pb.AllocIDRequest) (*pb.AllocIDResponse, error) {
	if _, ok := ctx.Deadline(); !ok {
		return nil, errors.New("call without a deadline")
	}
	return &pb.AllocIDResponse{First: 7, Count: r.Count}, c.err
}

func (c coordinator) CreateAlias(context.Context, *pb.AliasRequest) (*pb.Ack, error) {
	return &pb.Ack{}, c.err
}

// TestLocalAndRemoteAgree: a caller cannot tell a service of its own process from one behind a connection.
func TestLocalAndRemoteAgree(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, failure := range []error{nil, errs.Input(errs.AliasExists, "alias x exists"), errors.New("plain")} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := NewServer(slog.New(slog.NewTextHandler(io.Discard, nil)))
		pb.RegisterCoordinatorServer(server, coordinator{err: failure})
		serveCtx, stop := context.WithCancel(ctx)
		served := make(chan error, 1)
		go func() { served <- Serve(serveCtx, server, l, time.Second) }()

		target := l.Addr().String()
		peers := NewPeers(func() string { return target })
		peers.AddLocal("local", Local{Coordinator: coordinator{err: failure}})
		for _, addr := range []string{l.Addr().String(), "local"} {
			target = addr
			resp, err := peers.Coordinator().AllocID(ctx, &pb.AllocIDRequest{Count: 3})
			if failure == nil && (err != nil || resp.First != 7 || resp.Count != 3) {
				t.Fatalf("%s: %v, %v", addr, resp, err)
			}
			var e *errs.Error
			if failure != nil && (errs.CodeOf(err) != errs.CodeOf(failure) || err.Error() != failure.Error()) {
				t.Fatalf("%s: got %v (%d), want %v", addr, err, errs.CodeOf(err), failure)
			}
			if errors.As(failure, &e) && (!errors.As(err, &e) || !e.Input) {
				t.Fatalf("%s: the error lost its mark as the caller's", addr)
			}
		}
		peers.Close()
		stop()
		if err := <-served; err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnreachablePeerIsUnavailable(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	peers := NewPeers(func() string { return "" })
	defer peers.Close()
	short, done := context.WithTimeout(ctx, 50*time.Millisecond)
	defer done()
	if _, err := peers.Coordinator().AllocID(short, &pb.AllocIDRequest{}); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("no leader: %v", err)
	}
	dn, err := peers.DataNode(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dn.Barrier(ctx, &pb.BarrierRequest{}); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("nobody listens: %v", err)
	}
}

// TestCallsWaitForALeader: calls made during an election are made again, until somebody leads.
func TestCallsWaitForALeader(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	calls := 0
	peers := NewPeers(func() string {
		calls++
		switch {
		case calls < 3:
			return ""
		case calls < 5:
			return "standby"
		}
		return "leader"
	})
	peers.AddLocal("standby", Local{Coordinator: coordinator{err: errs.New(errs.NotLeader, "a standby")}})
	peers.AddLocal("leader", Local{Coordinator: coordinator{}})
	r, err := peers.Coordinator().AllocID(ctx, &pb.AllocIDRequest{Count: 2})
	if err != nil || r.First != 7 || calls != 5 {
		t.Fatalf("%v, %v after %d attempts", r, err, calls)
	}
}

// dying is a leader that dies in the middle of each call.
type dying struct {
	pb.CoordinatorServer
	die   func()
	begun *atomic.Int64
}

func (d dying) AllocID(ctx context.Context, _ *pb.AllocIDRequest) (*pb.AllocIDResponse, error) {
	return nil, d.end(ctx)
}

func (d dying) CreateAlias(ctx context.Context, _ *pb.AliasRequest) (*pb.Ack, error) {
	return nil, d.end(ctx)
}

func (d dying) end(ctx context.Context) error {
	d.begun.Add(1)
	go d.die()
	<-ctx.Done()
	return ctx.Err()
}

// TestLeaderThatDies: its address is known for a while still. Calls that cannot be sent there wait for the next leader;
// of those under way only the ones that change nothing are made again.
func TestLeaderThatDies(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, alive := range []bool{false, true} {
		var begun, asked atomic.Int64
		next := func(dead string) *Peers {
			asked.Store(0)
			begun.Store(0)
			p := NewPeers(func() string {
				if asked.Add(1) < 5 {
					return dead
				}
				return "next"
			})
			p.AddLocal("next", Local{Coordinator: coordinator{}})
			return p
		}
		leader := func() string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if !alive {
				l.Close()
				return l.Addr().String()
			}
			server := NewServer(slog.New(slog.NewTextHandler(io.Discard, nil)))
			pb.RegisterCoordinatorServer(server, dying{die: server.Stop, begun: &begun})
			go func() { _ = server.Serve(l) }() // ends by Stop
			t.Cleanup(server.Stop)
			return l.Addr().String()
		}
		peers := next(leader())
		if r, err := peers.Coordinator().AllocID(ctx, &pb.AllocIDRequest{Count: 1}); err != nil || r.First != 7 {
			t.Fatalf("AllocID, leader alive at first: %v: %v, %v", alive, r, err)
		}
		peers.Close()
		peers = next(leader())
		_, err := peers.Coordinator().CreateAlias(ctx, &pb.AliasRequest{})
		if want := map[bool]int64{false: 0, true: 1}[alive]; begun.Load() != want || (err == nil) == alive {
			t.Fatalf("CreateAlias, leader alive at first: %v: %v, begun %d times", alive, err, begun.Load())
		}
		peers.Close()
	}
}
