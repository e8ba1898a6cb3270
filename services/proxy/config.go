package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Peers finds the services that the proxy calls.
type Peers interface {
	DataNode(addr string) (pb.DataNodeClient, error)
	QueryNode(addr string) (pb.QueryNodeClient, error)
	Coordinator() pb.CoordinatorClient
}

// Config of a proxy. Zero values mean the defaults of DefaultConfig.
type Config struct {
	// Listen is the public address; Deps.Listener wins over it.
	Listen string
	// Advertise is the internal gRPC address at which this proxy's pb.ProxyServer is reached.
	Advertise string
	// MetricsAddr is shown in the node's record.
	MetricsAddr string
	// NodeID identifies this process; 0 draws one at random.
	NodeID int64
	// LeaseTTL is how long the cluster waits for a proxy that does not answer.
	LeaseTTL time.Duration
	// RequestTimeout bounds a request whose client sent no deadline.
	RequestTimeout time.Duration
	// StopGrace is how long running requests may go on when the proxy stops.
	StopGrace time.Duration
	// GracefulTime is the staleness that Bounded reads accept.
	GracefulTime time.Duration
	// MaxRequests bounds the requests in work, MaxRequestBytes the bytes of the bodies that they hold.
	MaxRequests     int
	MaxRequestBytes int64
	// MaxRecvBytes and MaxSendBytes bound one message.
	MaxRecvBytes, MaxSendBytes int
	// MaxResultBytes bounds the rows of one search or query.
	MaxResultBytes int64
	// MinIndexRows is the coordinator's bound of that name: smaller segments are searched without an index and count as
	// finished when an index is described.
	MinIndexRows int
	// DeployMode is what Connect and GetMetrics name: STANDALONE or DISTRIBUTED.
	DeployMode string
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:19530", LeaseTTL: 2 * time.Second, RequestTimeout: 60 * time.Second, StopGrace: 5 * time.Second,
		GracefulTime: 5 * time.Second, MaxRequests: 4096, MaxRequestBytes: 1 << 30,
		MaxRecvBytes: 256 << 20, MaxSendBytes: 512 << 20, MaxResultBytes: 100 << 20, MinIndexRows: 1000, DeployMode: "DISTRIBUTED",
	}
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (c *Config) setDefaults() {
	d := DefaultConfig()
	orDefault(&c.Listen, d.Listen)
	orDefault(&c.LeaseTTL, d.LeaseTTL)
	orDefault(&c.RequestTimeout, d.RequestTimeout)
	orDefault(&c.StopGrace, d.StopGrace)
	orDefault(&c.GracefulTime, d.GracefulTime)
	orDefault(&c.MaxRequests, d.MaxRequests)
	orDefault(&c.MaxRequestBytes, d.MaxRequestBytes)
	orDefault(&c.MaxRecvBytes, d.MaxRecvBytes)
	orDefault(&c.MaxSendBytes, d.MaxSendBytes)
	orDefault(&c.MaxResultBytes, d.MaxResultBytes)
	orDefault(&c.MinIndexRows, d.MinIndexRows)
	orDefault(&c.DeployMode, d.DeployMode)
	for c.NodeID == 0 {
		c.NodeID = rand.Int64N(1 << 53)
	}
}

// Validate reports what in the configuration cannot work.
func (c *Config) Validate() error {
	var err error
	if c.LeaseTTL < 0 || c.RequestTimeout < 0 || c.StopGrace < 0 || c.GracefulTime < 0 {
		err = errors.Join(err, errors.New("proxy: times must not be negative"))
	}
	if c.MaxRequests < 0 || c.MaxRequestBytes < 0 || c.MaxResultBytes < 0 {
		err = errors.Join(err, errors.New("proxy: bounds must not be negative"))
	}
	if c.MaxRecvBytes < 0 || c.MaxSendBytes < 0 {
		err = errors.Join(err, fmt.Errorf("proxy: message bounds %d and %d must not be negative", c.MaxRecvBytes, c.MaxSendBytes))
	}
	return err
}

// Deps are what a proxy needs from its process. Cache is run by the process; Listener and Registerer may be nil.
type Deps struct {
	Cache      *catalog.Cache
	Meta       meta.Store
	Peers      Peers
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Listener   net.Listener
}

func (d *Deps) validate() error {
	if d.Cache == nil || d.Meta == nil || d.Peers == nil || d.Logger == nil {
		return errors.New("proxy: Cache, Meta, Peers and Logger are needed")
	}
	return nil
}
