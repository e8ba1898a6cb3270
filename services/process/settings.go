// Package process is what every Gyr process is made of: settings, logging, metrics, the catalog's mirror, connections,
// signals, and an orderly start and stop. A role adds its own services; see Role.
package process

import (
	"fmt"
	"net"
	"net/url"
	"slices"

	"github.com/gyr-db/gyr/pkg/config"
)

// Settings are those that all roles share.
type Settings struct {
	Listen, Advertise, MetricsListen string
	InternalListen                   string
	Etcd, EtcdRoot                   string
	Storage, MQ                      string
	DataDir                          string
	LogLevel, LogFormat              string
	TraceEndpoint                    string
}

// Defaults are the settings of a process on a developer's machine.
func Defaults() Settings {
	return Settings{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:9091", InternalListen: "127.0.0.1:0",
		Etcd: "127.0.0.1:2379", EtcdRoot: "gyr", DataDir: "./data", LogLevel: "info", LogFormat: "text",
	}
}

// register puts the settings into a binary's table of keys.
func (s *Settings) register(set *config.Set, role Role) {
	set.String(&s.Listen, "listen", "address to serve on; the default binds loopback only")
	set.String(&s.Advertise, "advertise", "address under which others reach this process (default: the listen address)")
	set.String(&s.MetricsListen, "metrics.listen", "address of /metrics, /healthz, /livez, /readyz", config.Flag("metrics-listen"))
	if role.Public {
		set.String(&s.InternalListen, "internal.listen", "address for calls from Gyr's other services", config.Flag("internal-listen"))
	}
	set.String(&s.LogLevel, "log.level", "debug, info, warn or error", config.Flag("log-level"))
	set.String(&s.LogFormat, "log.format", "text or json", config.Flag("log-format"))
	set.String(&s.TraceEndpoint, "trace.otlp.endpoint", "host:port of an OTLP collector; empty: traces are propagated, not exported", config.Flag("trace-endpoint"))
	if role.Open != nil {
		set.String(&s.DataDir, "dataDir", "folder with everything: catalog, log, objects", config.Flag("data-dir"))
	} else {
		set.String(&s.Etcd, "etcd.endpoints", "etcd endpoints, host:port separated by commas", config.Flag("etcd"))
		set.String(&s.EtcdRoot, "etcd.rootPath", "key prefix in etcd", config.Flag("etcd-root"))
	}
	set.String(&s.Storage, "storage.url", "object storage: s3://bucket/prefix?endpoint=http://host:port, or file:///abs/dir", config.Flag("storage"))
	set.String(&s.MQ, "mq.url", "the log: woodpecker://?storage=s3&bucket=B&prefix=P, kafka://host:port/prefix, or woodpecker:///abs/dir", config.Flag("mq"))
}

// advertised is the address of a listener as others shall use it.
func advertised(advertise string, l net.Listener) (string, error) {
	if advertise == "" {
		return l.Addr().String(), nil
	}
	host, port, err := net.SplitHostPort(advertise)
	if err != nil {
		return "", fmt.Errorf("advertise address %q is no host:port: %w", advertise, err)
	}
	if port == "0" {
		_, port, _ = net.SplitHostPort(l.Addr().String())
	}
	return net.JoinHostPort(host, port), nil
}

// LocalFolders are the folders of this machine that hold objects or the log.
func (s *Settings) LocalFolders() []string {
	var out []string
	for _, u := range []struct{ url, scheme string }{{s.Storage, "file"}, {s.MQ, "woodpecker"}} {
		parsed, err := url.Parse(u.url)
		if err == nil && parsed.Scheme == u.scheme && parsed.Host == "" && parsed.Path != "" && !slices.Contains(out, parsed.Path) {
			out = append(out, parsed.Path)
		}
	}
	return out
}
