// Command gyr-proxy serves the public API of a cluster.
package main

import (
	"context"
	"os"

	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/lifecycle"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/services/process"
	"github.com/gyr-db/gyr/services/proxy"
)

func main() {
	cfg := proxy.DefaultConfig()
	os.Exit(process.Main(process.Role{
		Name: "gyr-proxy", Public: true,
		Defaults: process.ServesAPI,
		Build: func(_ context.Context, env *process.Env) (*process.Services, error) {
			cfg.Advertise, cfg.MetricsAddr = env.Addr, env.MetricsAddr
			p := proxy.New(cfg, proxy.Deps{
				Listener: env.Public, Meta: env.Meta, Cache: env.Cache, Peers: env.Peers,
				Logger: env.Logger, Registerer: env.Registry,
			})
			return &process.Services{
				Parts:            []lifecycle.Part{{Name: "proxy", Run: p.Run, Ready: p.Ready}},
				RegisterInternal: func(s *grpc.Server) { pb.RegisterProxyServer(s, p.Internal()) },
			}, nil
		},
	}))
}
