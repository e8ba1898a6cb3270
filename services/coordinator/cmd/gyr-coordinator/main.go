// Command gyr-coordinator is a cluster's coordinator, or a warm standby of it.
package main

import (
	"context"
	"os"

	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/lifecycle"
	"github.com/gyr-db/gyr/pkg/rpc"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/services/coordinator"
	"github.com/gyr-db/gyr/services/process"
)

func main() {
	cfg := coordinator.DefaultConfig()
	os.Exit(process.Main(process.Role{
		Name:     "gyr-coordinator",
		Register: cfg.Register,
		Build: func(_ context.Context, env *process.Env) (*process.Services, error) {
			cfg.Node = coordinator.NewNode(env.Addr, env.MetricsAddr)
			cfg.QueueURL, cfg.Probe.Folders = env.Settings.MQ, env.Settings.LocalFolders()
			c, err := coordinator.New(cfg, coordinator.Deps{
				Meta: env.Meta, Cache: env.Cache, Objects: env.Objects, Peers: env.Peers,
				Queue: env.Queue, Logger: env.Logger, Registerer: env.Registry,
			})
			if err != nil {
				return nil, err
			}
			env.Peers.AddLocal(env.Addr, rpc.Local{Coordinator: c})
			return &process.Services{
				Parts:            []lifecycle.Part{{Name: "coordinator", Run: c.Run}},
				RegisterInternal: func(s *grpc.Server) { pb.RegisterCoordinatorServer(s, c) },
			}, nil
		},
	}))
}
