package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/config"
	"github.com/gyr-db/gyr/pkg/lifecycle"
	"github.com/gyr-db/gyr/pkg/obs"
	"github.com/gyr-db/gyr/pkg/rpc"
	"github.com/gyr-db/gyr/pkg/version"
)

// Role is one kind of process.
type Role struct {
	// Name is the binary's name.
	Name string
	// Public: the role serves the public API on --listen, and internal calls on another port.
	Public bool
	// Reads: the role searches, with all processors for seconds if need be.
	Reads bool
	// Defaults changes the shared settings' defaults. May be nil.
	Defaults func(*Settings)
	// Register adds the role's own keys. May be nil.
	Register func(*config.Set)
	// Open fills Meta, Objects and Queue; nil: from etcd, storage and queue addresses.
	Open func(ctx context.Context, env *Env) error
	// Build makes the role's services; nothing runs yet.
	Build func(ctx context.Context, env *Env) (*Services, error)
	// Banner prints what a person at a terminal wants to know once the process serves. May be nil.
	Banner func(w io.Writer, env *Env)
}

// Services are a role's running parts.
type Services struct {
	Parts []lifecycle.Part
	// RegisterInternal adds the services to the internal gRPC server; nil: there is none.
	RegisterInternal func(*grpc.Server)
	// Problem tells what keeps the process from serving well, "" when nothing does. May be nil.
	Problem func() string
}

// Main runs a role until SIGTERM or SIGINT and returns the exit code.
func Main(role Role) int {
	err := run(role, os.Args[1:], os.Environ(), os.Stdout)
	switch {
	case err == nil || errors.Is(err, config.ErrHelp):
		return 0
	default:
		fmt.Fprintf(os.Stderr, "%s: %v\n", role.Name, err)
		return 1
	}
}

func run(role Role, args, environ []string, out io.Writer) (err error) {
	if role.Reads {
		leaveRoom()
	}
	env := &Env{}
	set, err := role.load(&env.Settings, args, environ, out)
	if err != nil {
		return err
	}
	if env.Logger, err = obs.NewLogger(os.Stderr, env.Settings.LogLevel, env.Settings.LogFormat); err != nil {
		return err
	}
	for _, n := range set.Notices {
		env.Logger.Info(n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	flush, err := obs.Trace(ctx, role.Name, env.Settings.TraceEndpoint)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, flushTraces(flush)) }()
	defer func() { err = errors.Join(err, env.Close()) }()
	return serve(ctx, role, env, out)
}

// leaveRoom lets one goroutine more run than there are processors. While searches have them all, Go's scheduler looks for
// network events only every 10 ms; with a thread to spare the kernel lets other requests in at once. Beside two clients with
// batches of 1,000 queries, the 99th percentile of single searches fell from 58 to 9 ms. A GOMAXPROCS in the environment is
// left as it is.
func leaveRoom() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

func flushTraces(flush func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return flush(ctx)
}

func serve(ctx context.Context, role Role, env *Env, out io.Writer) error {
	env.Registry, env.Health = obs.NewRegistry(), &obs.Health{}
	metrics, err := env.listen(role)
	if err != nil {
		return err
	}
	open := role.Open
	if open == nil {
		open = openCluster
	}
	if err := open(ctx, env); err != nil {
		return err
	}
	env.mirror()
	services, err := role.Build(ctx, env)
	if err != nil {
		return err
	}
	env.Health.Problem = services.Problem
	group := lifecycle.Group{Logger: env.Logger, StopTimeout: 8 * time.Second}
	group.Add(lifecycle.Part{Name: "metrics", Run: func(ctx context.Context) error {
		return obs.ServeHTTP(ctx, metrics, obs.Handler(env.Registry, env.Health))
	}})
	group.Add(lifecycle.Part{Name: "catalog mirror", Run: env.Cache.Run, Ready: env.Cache.Ready})
	if services.RegisterInternal != nil {
		server := rpc.NewServer(env.Logger)
		services.RegisterInternal(server)
		group.Add(lifecycle.Part{Name: "internal calls", Run: func(ctx context.Context) error {
			return rpc.Serve(ctx, server, env.Internal, 3*time.Second)
		}})
	}
	for _, p := range services.Parts {
		group.Add(p)
	}
	// Probes see the stop before the first part stops, so that no new work is sent here.
	unready := context.AfterFunc(ctx, func() { env.Health.SetServing(false) })
	defer unready()
	return group.Run(ctx, func() {
		env.Health.SetServing(true)
		env.Logger.Info("serving", "role", role.Name, "version", version.String(), "addr", env.Addr, "public", env.PublicAddr,
			"metrics", env.MetricsAddr, "cpus", runtime.GOMAXPROCS(0), "kernels", kernels())
		if role.Banner != nil {
			role.Banner(out, env)
		}
	})
}

// listen opens the process's ports first of all, so that a taken one is reported before anything else happens.
func (e *Env) listen(role Role) (metrics net.Listener, err error) {
	if metrics, err = e.open("metrics", e.Settings.MetricsListen); err != nil {
		return nil, err
	}
	e.MetricsAddr = metrics.Addr().String()
	internal := e.Settings.Listen
	if role.Public {
		if e.Public, err = e.open("the API", e.Settings.Listen); err != nil {
			return nil, err
		}
		e.PublicAddr = e.Public.Addr().String()
		internal = e.Settings.InternalListen
	}
	if role.Open != nil {
		return metrics, nil // one process: nothing calls from outside
	}
	if e.Internal, err = e.open("internal calls", internal); err != nil {
		return nil, err
	}
	advertise := e.Settings.Advertise
	if role.Public && advertise != "" {
		if host, _, splitErr := net.SplitHostPort(advertise); splitErr == nil {
			advertise = net.JoinHostPort(host, "0")
		}
	}
	e.Addr, err = advertised(advertise, e.Internal)
	return metrics, err
}

func (e *Env) open(what, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port for %s is taken: %s is in use by another process", what, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", what, err)
	}
	e.OnClose(func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}
