// Package standalone is all of Gyr's roles in one process: embedded etcd, files on local disk, calls without a network.
//
// It composes the same libraries that the cluster's binaries run. It owns the data folder: LOCK, FORMAT, etcd/, log/,
// objects/.
package standalone

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/gyr-db/gyr/pkg/config"
	"github.com/gyr-db/gyr/pkg/lifecycle"
	"github.com/gyr-db/gyr/pkg/meta/etcd/embedded"
	"github.com/gyr-db/gyr/pkg/rpc"
	"github.com/gyr-db/gyr/pkg/version"
	"github.com/gyr-db/gyr/services/coordinator"
	"github.com/gyr-db/gyr/services/datanode"
	"github.com/gyr-db/gyr/services/indexnode"
	"github.com/gyr-db/gyr/services/process"
	"github.com/gyr-db/gyr/services/proxy"
	"github.com/gyr-db/gyr/services/querynode"
)

// localAddr is the address of every service in this process.
const localAddr = "local"

// leaseTTL bounds how long a stop waits for a catalog store that hangs, beside what it is for in a cluster.
const leaseTTL = 10 * time.Second

// Role returns the standalone role.
func Role() process.Role {
	s := &settings{
		data: datanode.DefaultConfig(), query: querynode.DefaultConfig(), index: indexnode.DefaultConfig(),
		coord: coordinator.DefaultConfig(), proxy: proxy.DefaultConfig(),
	}
	s.coord.Logs = 1
	// Nobody waits for a lease here: all roles live and die together, and a start ends all leases. A machine that is so
	// busy that a lease is not renewed for seconds must not make the process lose its log and refuse writes.
	s.query.CacheDir = "" // below the data folder, once that is known
	s.data.LeaseTTL, s.query.LeaseTTL, s.index.LeaseTTL, s.coord.LeaseTTL, s.proxy.LeaseTTL = leaseTTL, leaseTTL, leaseTTL, leaseTTL, leaseTTL
	return process.Role{
		Name: "gyr-standalone", Public: true, Reads: true,
		Defaults: process.ServesAPI,
		Register: s.register,
		Open:     open,
		Build:    s.build,
		Banner:   banner,
	}
}

type settings struct {
	data  datanode.Config
	query querynode.Config
	index indexnode.Config
	coord coordinator.Config
	proxy proxy.Config
}

func (s *settings) register(set *config.Set) {
	s.coord.Register(set)
	s.data.Register(set)
	s.query.Register(set)
	s.index.Register(set)
}

// open makes the folder's etcd, log and objects.
func open(ctx context.Context, env *process.Env) error {
	f, err := openFolder(env.Settings.DataDir)
	if err != nil {
		return err
	}
	env.OnClose(f.Close)
	env.Settings.DataDir = f.path
	server, err := embedded.Start(filepath.Join(f.path, "etcd"), env.Logger)
	if err != nil {
		return fmt.Errorf("start the catalog's store: %w", err)
	}
	env.OnClose(server.Close)
	if err := server.RevokeLeases(ctx); err != nil {
		return err
	}
	store, err := server.Open(ctx, env.Settings.EtcdRoot)
	if err != nil {
		return fmt.Errorf("open the catalog's store: %w", err)
	}
	env.OnClose(store.Close)
	env.Meta = store
	if env.Settings.Storage == "" {
		env.Settings.Storage = "file://" + filepath.Join(f.path, "objects")
	}
	if env.Settings.MQ == "" {
		env.Settings.MQ = "woodpecker://" + filepath.Join(f.path, "log")
	}
	return env.OpenStores(ctx)
}

// build composes the five roles.
func (s *settings) build(_ context.Context, env *process.Env) (*process.Services, error) {
	env.Addr = localAddr
	coord, err := s.coordinator(env)
	if err != nil {
		return nil, err
	}
	data, err := s.dataNode(env)
	if err != nil {
		return nil, err
	}
	query, err := s.queryNode(env)
	if err != nil {
		return nil, err
	}
	index, err := s.indexNode(env)
	if err != nil {
		return nil, err
	}
	front := s.front(env)
	env.Peers.AddLocal(localAddr, rpc.Local{Coordinator: coord, DataNode: data, QueryNode: query, Proxy: front.Internal()})
	return &process.Services{
		Parts: []lifecycle.Part{
			{Name: "coordinator", Run: coord.Run, Ready: process.Led(env.Cache)},
			{Name: "datanode", Run: data.Run, Ready: process.Owned(env.Cache)},
			{Name: "querynode", Run: query.Run},
			{Name: "indexnode", Run: index.Run},
			{Name: "proxy", Run: front.Run, Ready: front.Ready},
		},
	}, nil
}

func (s *settings) coordinator(env *process.Env) (*coordinator.Coordinator, error) {
	s.coord.Node = coordinator.NewNode(localAddr, env.MetricsAddr)
	s.coord.QueueURL, s.coord.Probe.Folders = env.Settings.MQ, env.Settings.LocalFolders()
	return coordinator.New(s.coord, coordinator.Deps{
		Meta: env.Meta, Cache: env.Cache, Objects: env.Objects, Peers: env.Peers,
		Queue: env.Queue, Logger: env.Logger, Registerer: env.Registry,
	})
}

func (s *settings) dataNode(env *process.Env) (*datanode.Node, error) {
	s.data.Addr, s.data.Metrics, s.data.Version = localAddr, env.MetricsAddr, version.String()
	return datanode.New(s.data, datanode.Deps{
		Meta: env.Meta, Cache: env.Cache, Queue: env.Queue, Objects: env.Objects,
		Coordinator: env.Peers.Coordinator(), Logger: env.Logger, Registerer: env.Registry,
	})
}

func (s *settings) queryNode(env *process.Env) (*querynode.Node, error) {
	s.query.Addr, s.query.Metrics, s.query.Version = localAddr, env.MetricsAddr, version.String()
	if s.query.CacheDir == "" {
		s.query.CacheDir = filepath.Join(env.Settings.DataDir, "cache")
	}
	return querynode.New(s.query, querynode.Deps{
		Meta: env.Meta, Cache: env.Cache, Queue: env.Queue, Objects: env.Objects,
		Logger: env.Logger, Registerer: env.Registry,
	})
}

func (s *settings) indexNode(env *process.Env) (*indexnode.Node, error) {
	s.index.Addr, s.index.Metrics, s.index.Version = localAddr, env.MetricsAddr, version.String()
	return indexnode.New(s.index, indexnode.Deps{
		Meta: env.Meta, Objects: env.Objects, Coordinator: process.Tasks{Client: env.Peers.Coordinator()},
		Logger: env.Logger, Registerer: env.Registry,
	})
}

func (s *settings) front(env *process.Env) *proxy.Proxy {
	s.proxy.Advertise, s.proxy.MetricsAddr, s.proxy.DeployMode = localAddr, env.MetricsAddr, "STANDALONE"
	return proxy.New(s.proxy, proxy.Deps{
		Listener: env.Public, Meta: env.Meta, Cache: env.Cache, Peers: env.Peers,
		Logger: env.Logger, Registerer: env.Registry,
	})
}

func banner(w io.Writer, env *process.Env) {
	fmt.Fprintf(w, `
  Gyr %s is ready.

    API       %s   (any Milvus v2 SDK; REST under /v2/vectordb)
    metrics   http://%s/metrics
    data      %s

  Try:  pip install pymilvus
        python3 -c 'from pymilvus import MilvusClient; print(MilvusClient("http://%s").get_server_version())'
  Then: make demo
  Stop: Ctrl-C

`, version.String(), env.PublicAddr, env.MetricsAddr, env.Settings.DataDir, env.PublicAddr)
}
