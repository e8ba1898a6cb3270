package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
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
