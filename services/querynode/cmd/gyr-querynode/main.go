// Command gyr-querynode serves reads of a cluster.
package main

import (
	"context"
	"os"

	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/lifecycle"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/version"
	"github.com/gyr-db/gyr/services/process"
	"github.com/gyr-db/gyr/services/querynode"
)

func main() {
	cfg := querynode.DefaultConfig()
	os.Exit(process.Main(process.Role{
		Name:     "gyr-querynode",
		Reads:    true,
		Register: cfg.Register,
		Build: func(_ context.Context, env *process.Env) (*process.Services, error) {
			cfg.Addr, cfg.Metrics, cfg.Version = env.Addr, env.MetricsAddr, version.String()
			n, err := querynode.New(cfg, querynode.Deps{
				Meta: env.Meta, Cache: env.Cache, Queue: env.Queue, Objects: env.Objects,
				Logger: env.Logger, Registerer: env.Registry,
			})
			if err != nil {
				return nil, err
			}
			return &process.Services{
				Parts:            []lifecycle.Part{{Name: "querynode", Run: n.Run}},
				RegisterInternal: func(s *grpc.Server) { pb.RegisterQueryNodeServer(s, n) },
			}, nil
		},
	}))
}
