package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/health"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Proxy serves the public API.
type Proxy struct {
	milvuspb.UnimplementedMilvusServiceServer

	cfg     Config
	deps    Deps
	metrics *metrics
	gate    *gate
	health  *health.Server
	reads   *snapshots
	ids     *idSource
	started time.Time
	// leased: this proxy's node key is held, and the cache showed a revision at or behind it.
	leased atomic.Bool
	serves atomic.Bool
}

var (
	_ milvuspb.MilvusServiceServer = (*Proxy)(nil)
	_ pb.ProxyServer               = internal{}
)

// New makes a proxy; Run starts it. A wrong Config or missing Deps are reported by Run.
func New(cfg Config, deps Deps) *Proxy {
	cfg.setDefaults()
	p := &Proxy{cfg: cfg, deps: deps, metrics: newMetrics(deps.Registerer), health: health.NewServer(), started: time.Now()}
	p.gate = newGate(cfg.MaxRequests, cfg.MaxRequestBytes)
	p.reads = newSnapshots(p)
	p.ids = newIDSource(p)
	return p
}

// NodeID identifies this process in the catalog.
func (p *Proxy) NodeID() int64 { return p.cfg.NodeID }

// Internal returns the service that other processes of the cluster call.
func (p *Proxy) Internal() pb.ProxyServer { return internal{p: p} }

// Ready waits until the proxy serves.
func (p *Proxy) Ready(ctx context.Context) error {
	for !p.serves.Load() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for the proxy: %w", ctx.Err())
		}
	}
	return nil
}

// Run serves until ctx ends; it returns nil then, once running requests have ended or StopGrace is over.
func (p *Proxy) Run(ctx context.Context) error {
	if err := errors.Join(p.cfg.Validate(), p.deps.validate()); err != nil {
		return err
	}
	listener := p.deps.Listener
	if listener == nil {
		l, err := net.Listen("tcp", p.cfg.Listen)
		if err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
		listener = l
	}
	defer listener.Close()
	if err := p.deps.Cache.Ready(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	g, inner := errgroup.WithContext(ctx)
	barriers, stop := context.WithCancel(context.WithoutCancel(ctx)) // until running requests have ended
	p.reads.start(barriers)
	defer p.reads.wait()
	defer stop()
	leased, release := context.WithCancel(barriers) // the lease, too, outlives the running requests
	g.Go(func() error { return p.keepLease(leased) })
	g.Go(func() error {
		defer release()
		return p.serve(inner, listener)
	})
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("proxy: %w", err)
	}
	return nil
}

// serve runs both protocols on one listener.
func (p *Proxy) serve(ctx context.Context, listener net.Listener) error {
	split := newSplitter(listener)
	grpcServer := p.newGRPCServer()
	httpServer := &http.Server{Handler: p.httpHandler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: nil}
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error { return ignoreClosed(split.run()) })
	g.Go(func() error { return ignoreClosed(grpcServer.Serve(split.http2)) })
	g.Go(func() error { return ignoreClosed(httpServer.Serve(split.http1)) })
	g.Go(func() error {
		<-inner.Done()
		p.serves.Store(false)
		p.health.Shutdown()
		stop := time.AfterFunc(p.cfg.StopGrace, grpcServer.Stop)
		defer stop.Stop()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.StopGrace)
		defer cancel()
		_ = httpServer.Shutdown(grace)
		grpcServer.GracefulStop()
		listener.Close()
		return nil
	})
	p.serves.Store(true)
	p.deps.Logger.Info("proxy serves", "address", listener.Addr().String(), "node", p.cfg.NodeID)
	return g.Wait()
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
