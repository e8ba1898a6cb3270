package harness

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Member is one process of a cluster: how to start it again, and whether it runs.
type Member struct {
	*Process
	Name, Role, Metrics, Addr string
	path                      string
	args, env                 []string
	ready                     func(ctx context.Context, p *Process) error
}

// Cluster is etcd, an S3 server, maybe Kafka, and Gyr's roles as processes on loopback.
type Cluster struct {
	Members []*Member
	Proxies []string // public addresses
	MQ      string
	dir     string
}

// S3 keys of the test servers.
const (
	accessKey = "testkey"
	secretKey = "testsecret123"
)

// ClusterSpec says what to start. Zero values mean the numbers of `make cluster`.
type ClusterSpec struct {
	MQ                                                       string // woodpecker (default) or kafka
	Coordinators, Proxies, DataNodes, QueryNodes, IndexNodes int
}

// Server returns the script that runs a real server, after its set-up.
func Server(t testing.TB, name string) string {
	t.Helper()
	script := filepath.Join(Root(), "tools", "servers", name)
	cmd := exec.Command(script, "setup")
	cmd.Env = append(os.Environ(), "GYR_SERVERS="+ServersDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("set up %s: %v\n%s", name, err, out)
	}
	return script
}

// ServersDir is where set-up servers are kept.
func ServersDir() string {
	if d := os.Getenv("GYR_SERVERS"); d != "" {
		return d
	}
	return filepath.Join(Root(), ".cache", "servers")
}

// StartCluster starts a cluster and waits until every proxy is healthy.
func StartCluster(t testing.TB, spec ClusterSpec) *Cluster {
	t.Helper()
	c := &Cluster{MQ: spec.MQ, dir: t.TempDir()}
	etcd, s3 := FreePort(t), FreePort(t)
	c.server(t, "etcd", fmt.Sprint(etcd), func(ctx context.Context, p *Process) error {
		return waitAnswer(ctx, p, fmt.Sprintf("http://127.0.0.1:%d/health", etcd))
	})
	c.server(t, "s3", fmt.Sprint(s3), func(ctx context.Context, p *Process) error {
		return waitAnswer(ctx, p, fmt.Sprintf("http://127.0.0.1:%d/", s3))
	})
	queue := "woodpecker://?storage=s3&bucket=gyr&prefix=wal"
	if spec.MQ == "kafka" {
		port := FreePort(t)
		c.server(t, "kafka", fmt.Sprint(port), func(ctx context.Context, p *Process) error {
			return WaitListening(ctx, p, fmt.Sprintf("127.0.0.1:%d", port))
		})
		queue = fmt.Sprintf("kafka://127.0.0.1:%d/gyr", port)
	}
	common := []string{
		"--etcd", fmt.Sprintf("127.0.0.1:%d", etcd), "--mq", queue,
		"--storage", fmt.Sprintf("s3://gyr/data?endpoint=http://127.0.0.1:%d&path_style=true&create=true", s3),
	}
	for _, r := range []struct {
		role      string
		n, preset int
	}{
		{"coordinator", spec.Coordinators, 2},
		{"datanode", spec.DataNodes, 2},
		{"querynode", spec.QueryNodes, 2},
		{"indexnode", spec.IndexNodes, 1},
		{"proxy", spec.Proxies, 2},
	} {
		if r.n == 0 {
			r.n = r.preset
		}
		for i := range r.n {
			c.role(t, r.role, i+1, common)
		}
	}
	return c
}

// server starts a real server of tools/servers as a member.
func (c *Cluster) server(t testing.TB, name, port string, ready func(context.Context, *Process) error) {
	t.Helper()
	m := &Member{
		Name: name, Role: name, path: Server(t, name), args: []string{"run", filepath.Join(c.dir, name), port},
		env: []string{"GYR_SERVERS=" + ServersDir()}, ready: ready,
	}
	c.Members = append(c.Members, m)
	m.Restart(t)
}

func (c *Cluster) role(t testing.TB, role string, n int, common []string) {
	t.Helper()
	m := &Member{
		Name: fmt.Sprintf("%s%d", role, n), Role: role, path: Binary(t, "gyr-"+role),
		Metrics: fmt.Sprintf("127.0.0.1:%d", FreePort(t)), Addr: fmt.Sprintf("127.0.0.1:%d", FreePort(t)),
		env: []string{"GYR_STORAGE_ACCESS_KEY=" + accessKey, "GYR_STORAGE_SECRET_KEY=" + secretKey},
	}
	m.args = append([]string{"--listen", m.Addr, "--metrics-listen", m.Metrics}, common...)
	m.ready = func(ctx context.Context, p *Process) error { return WaitHealthy(ctx, p, m.Metrics) }
	c.Members = append(c.Members, m)
	if role == "proxy" {
		c.Proxies = append(c.Proxies, m.Addr)
	}
	m.Restart(t)
}

// Restart starts a member that does not run, and waits until it is ready.
func (m *Member) Restart(t testing.TB) {
	t.Helper()
	m.Process = Start(t, m.Name, m.path, m.env, m.args...)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := m.ready(ctx, m.Process); err != nil {
		t.Fatalf("%s: %v", m.Name, err)
	}
}

// Args are a member's arguments, Env its own part of the environment: for a tool that works in its place.
func (m *Member) Args() []string { return m.args }

// Env is a member's own part of the environment.
func (m *Member) Env() []string { return m.env }

// Dir is the data folder of a server, such as etcd.
func (c *Cluster) Dir(name string) string { return filepath.Join(c.dir, name) }

// ByRole returns the members of a role.
func (c *Cluster) ByRole(role string) []*Member {
	var out []*Member
	for _, m := range c.Members {
		if m.Role == role {
			out = append(out, m)
		}
	}
	return out
}

// waitAnswer waits until a server answers HTTP at all.
func waitAnswer(ctx context.Context, p *Process, url string) error {
	for {
		if p.Ended() {
			return fmt.Errorf("%s ended:\n%s", p.Name, p.Output())
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode < 500 {
				return nil
			}
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%s does not answer:\n%s", p.Name, tail(p.Output()))
		}
	}
}

// WaitListening waits until a port accepts connections.
func WaitListening(ctx context.Context, p *Process, addr string) error {
	for {
		if p.Ended() {
			return fmt.Errorf("%s ended:\n%s", p.Name, p.Output())
		}
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			return conn.Close()
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%s does not listen on %s:\n%s", p.Name, addr, tail(p.Output()))
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
