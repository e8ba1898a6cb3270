// Command gyr-indexnode builds indexes and compacts segments for a cluster.
package main

import (
	"context"
	"os"

	"github.com/gyr-db/gyr/pkg/lifecycle"
	"github.com/gyr-db/gyr/pkg/version"
	"github.com/gyr-db/gyr/services/indexnode"
	"github.com/gyr-db/gyr/services/process"
)

func main() {
	cfg := indexnode.DefaultConfig()
	os.Exit(process.Main(process.Role{
		Name:     "gyr-indexnode",
		Register: cfg.Register,
		Build: func(_ context.Context, env *process.Env) (*process.Services, error) {
			cfg.Addr, cfg.Metrics, cfg.Version = env.Addr, env.MetricsAddr, version.String()
			n, err := indexnode.New(cfg, indexnode.Deps{
				Meta: env.Meta, Objects: env.Objects,
				Coordinator: process.Tasks{Client: env.Peers.Coordinator()}, Logger: env.Logger, Registerer: env.Registry,
			})
			if err != nil {
				return nil, err
			}
			return &process.Services{Parts: []lifecycle.Part{{Name: "indexnode", Run: n.Run}}}, nil
		},
	}))
}
