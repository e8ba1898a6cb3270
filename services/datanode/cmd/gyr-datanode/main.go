// Command gyr-datanode owns logs of a cluster: it is the single writer of each.
package main

import (
	"context"
	"os"

	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/lifecycle"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/version"
	"github.com/gyr-db/gyr/services/datanode"
	"github.com/gyr-db/gyr/services/process"
)

func main() {
	cfg := datanode.DefaultConfig()
	os.Exit(process.Main(process.Role{
		Name:     "gyr-datanode",
		Register: cfg.Register,
		Build: func(_ context.Context, env *process.Env) (*process.Services, error) {
			cfg.Addr, cfg.Metrics, cfg.Version = env.Addr, env.MetricsAddr, version.String()
			cfg.EntryBytes = max(cfg.EntryBytes, env.LogEntryBytes())
			n, err := datanode.New(cfg, datanode.Deps{
				Meta: env.Meta, Cache: env.Cache, Queue: env.Queue, Objects: env.Objects,
				Coordinator: env.Peers.Coordinator(), Logger: env.Logger, Registerer: env.Registry,
			})
			if err != nil {
				return nil, err
			}
			return &process.Services{
				Parts:            []lifecycle.Part{{Name: "datanode", Run: n.Run}},
				RegisterInternal: func(s *grpc.Server) { pb.RegisterDataNodeServer(s, n) },
			}, nil
		},
	}))
}
