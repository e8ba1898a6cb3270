// Package rpc connects Gyr's services: gRPC between processes, plain calls inside one.
//
// It owns connections, error translation (package errs codes survive the wire) and the rule that every call has a
// deadline. It knows no service's logic. A service asks Peers for the client of an address; whether that is a
// connection or the service in the same process is decided when the process is put together.
package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// DefaultTimeout is the deadline of an internal call whose context has none.
const DefaultTimeout = 60 * time.Second

// maxMessage bounds one internal message. Public requests are at most 256 MiB; a record carries little more.
const maxMessage = 512 << 20

// NewServer returns a gRPC server for internal services.
func NewServer(log *slog.Logger) *grpc.Server {
	return grpc.NewServer(
		grpc.StatsHandler(otelgrpc.NewServerHandler()),
		grpc.ChainUnaryInterceptor(recoverPanics(log), serverErrors, withDeadline),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 500 * time.Millisecond, PermitWithoutStream: true}),
	)
}

// Serve runs server on l until ctx ends, then lets running calls finish for up to grace.
func Serve(ctx context.Context, server *grpc.Server, l net.Listener, grace time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stopped := time.AfterFunc(grace, server.Stop)
	server.GracefulStop()
	stopped.Stop()
	return <-done
}

func recoverPanics(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
		defer func() {
			if p := recover(); p != nil {
				log.Error("panic in an internal call", "method", info.FullMethod, "panic", p, "stack", string(debug.Stack()))
				err = toWire(errs.New(errs.Internal, "panic in %s: %v", info.FullMethod, p))
			}
		}()
		return next(ctx, req)
	}
}

func withDeadline(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
	}
	return next(ctx, req)
}

// Local holds the services of this process by address; nil fields are not here.
type Local struct {
	Coordinator pb.CoordinatorServer
	DataNode    pb.DataNodeServer
	QueryNode   pb.QueryNodeServer
	Proxy       pb.ProxyServer
}

// Peers finds the clients of addresses. The zero value is not usable; see NewPeers.
type Peers struct {
	leader func() string // address of the coordinator's leader, "" when unknown

	mu    sync.Mutex // guards the maps
	local map[string]Local
	conns map[string]*grpc.ClientConn
}

// NewPeers returns a Peers. leader tells the coordinator leader's address at the time of a call.
func NewPeers(leader func() string) *Peers {
	return &Peers{leader: leader, local: map[string]Local{}, conns: map[string]*grpc.ClientConn{}}
}

// AddLocal makes addr mean services of this process.
func (p *Peers) AddLocal(addr string, l Local) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.local[addr] = l
}

// Close closes every connection.
func (p *Peers) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for addr, c := range p.conns {
		c.Close()
		delete(p.conns, addr)
	}
}

// Forget closes the connection to an address that is gone from the catalog.
func (p *Peers) Forget(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.conns[addr]; c != nil {
		c.Close()
		delete(p.conns, addr)
	}
}

func (p *Peers) find(addr string) (Local, *grpc.ClientConn, error) {
	if addr == "" {
		return Local{}, nil, errs.New(errs.Unavailable, "no such node is known at present")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, ok := p.local[addr]; ok {
		return l, nil, nil
	}
	if c := p.conns[addr]; c != nil {
		return Local{}, c, nil
	}
	c, err := dial(addr)
	if err != nil {
		return Local{}, nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	p.conns[addr] = c
	return Local{}, c, nil
}

// dial makes a lazy connection that notices a dead peer within about two seconds and fails calls at once while it
// cannot connect.
func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithChainUnaryInterceptor(clientErrors),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: 2 * time.Second,
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		}),
		grpc.WithInitialWindowSize(1<<20), grpc.WithInitialConnWindowSize(4<<20),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)))
}

// DataNode returns the client of the datanode at addr.
func (p *Peers) DataNode(addr string) (pb.DataNodeClient, error) {
	l, c, err := p.find(addr)
	if err != nil || c != nil {
		return pb.NewDataNodeClient(c), err
	}
	if l.DataNode == nil {
		return nil, errs.New(errs.Unavailable, "no datanode at %s", addr)
	}
	return LocalDataNode{l.DataNode}, nil
}

// QueryNode returns the client of the querynode at addr.
func (p *Peers) QueryNode(addr string) (pb.QueryNodeClient, error) {
	l, c, err := p.find(addr)
	if err != nil || c != nil {
		return pb.NewQueryNodeClient(c), err
	}
	if l.QueryNode == nil {
		return nil, errs.New(errs.Unavailable, "no querynode at %s", addr)
	}
	return LocalQueryNode{l.QueryNode}, nil
}

// Proxy returns the internal client of the proxy at addr.
func (p *Peers) Proxy(addr string) (pb.ProxyClient, error) {
	l, c, err := p.find(addr)
	if err != nil || c != nil {
		return pb.NewProxyClient(c), err
	}
	if l.Proxy == nil {
		return nil, errs.New(errs.Unavailable, "no proxy at %s", addr)
	}
	return LocalProxy{l.Proxy}, nil
}

// Coordinator returns a client that follows the coordinator's leader from call to call.
func (p *Peers) Coordinator() pb.CoordinatorClient { return pb.NewCoordinatorClient(leaderConn{p}) }

// leaderConn sends each call to the present leader.
type leaderConn struct{ p *Peers }

// leaderPatience bounds how long a call waits for a leader that is being elected, or is not ready yet.
const leaderPatience = 10 * time.Second

// repeatable reports whether a call may be made again though a leader may have begun it before it died: such calls change
// nothing, or hand out numbers that nobody misses.
func repeatable(method string) bool {
	switch method {
	case pb.Coordinator_AllocTimestamp_FullMethodName, pb.Coordinator_AllocID_FullMethodName, pb.Coordinator_LoadState_FullMethodName,
		pb.Coordinator_CompactionState_FullMethodName, pb.Coordinator_Inspect_FullMethodName:
		return true
	}
	return false
}

// Invoke implements grpc.ClientConnInterface. A call that no leader took is made again; one that a leader may have begun
// is not, unless it is repeatable. A leader that has died is known for its lease's time still: calls cannot reach it.
func (l leaderConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	patience, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		taken, err := l.try(ctx, method, args, reply, opts...)
		again := !taken || errs.Is(err, errs.NotLeader) || errs.Is(err, errs.Unavailable) && repeatable(method)
		if !again {
			return err
		}
		select {
		case <-time.After(wait):
		case <-patience.Done():
			return err
		}
	}
}

// try makes one call of the leader known now. taken is false when there is none, or the call was not sent to it.
func (l leaderConn) try(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) (taken bool, err error) {
	addr := l.p.leader()
	if addr == "" {
		return false, errs.New(errs.Unavailable, "the coordinator has no leader at present")
	}
	local, c, err := l.p.find(addr)
	switch {
	case err != nil:
		return true, err
	case c != nil:
		var at peer.Peer // stays empty as long as there is no stream to carry the call
		err := c.Invoke(ctx, method, args, reply, append(slices.Clip(opts), grpc.Peer(&at))...)
		return at.Addr != nil || !errs.Is(err, errs.Unavailable), err
	case local.Coordinator == nil:
		return true, errs.New(errs.Unavailable, "no coordinator at %s", addr)
	}
	return true, invokeLocal(ctx, &pb.Coordinator_ServiceDesc, local.Coordinator, method, args, reply)
}

// NewStream implements grpc.ClientConnInterface; the coordinator has no streams.
func (l leaderConn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errs.New(errs.Unimplemented, "the coordinator has no streaming call")
}
