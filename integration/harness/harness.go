// Package harness starts Gyr's real binaries for tests, kills them, and waits for what they promise.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Root is the repository's root folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Binary returns the path of a built binary, such as gyr-standalone. `make build` makes them; tests never run stale ones
// because the Makefile's test targets build first. GYR_BIN names another folder.
func Binary(t testing.TB, name string) string {
	t.Helper()
	folder := os.Getenv("GYR_BIN")
	if folder == "" {
		folder = filepath.Join(Root(), "bin")
	}
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not built; run make build", name)
	}
	return path
}

// Process is a running program. Its last output is printed when the test fails, or always with GYR_LOGS=1.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{}
	err  error
}

// logBuffer keeps the last bytes of a program's output.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const keepLog = 256 << 10

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() > keepLog {
		l.buf.Next(l.buf.Len() - keepLog/2)
	}
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Start runs a program until the test ends or it is killed.
func Start(t testing.TB, name, path string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{Name: name, cmd: exec.Command(path, args...), log: &logBuffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The parent-death signal belongs to the thread that forks, so that thread must live as long as the child.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() || os.Getenv("GYR_LOGS") != "" {
			t.Logf("---- output of %s ----\n%s", name, p.Output())
		}
	})
	return p
}

// Output is what the program printed lately.
func (p *Process) Output() string { return p.log.String() }

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the program by SIGKILL and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// Signal sends a signal.
func (p *Process) Signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// Wait waits for the program's end and returns its exit code.
func (p *Process) Wait(timeout time.Duration) (int, error) {
	select {
	case <-p.done:
		var exit *exec.ExitError
		if p.err != nil && !errors.As(p.err, &exit) {
			return -1, p.err
		}
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(timeout):
		return -1, fmt.Errorf("%s still runs after %s", p.Name, timeout)
	}
}

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// FreePort returns a loopback port that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// WaitHealthy waits until /healthz on the metrics address answers 200.
func WaitHealthy(ctx context.Context, p *Process, metrics string) error {
	var last string
	for {
		if p != nil && p.Ended() {
			return fmt.Errorf("%s ended before it was healthy:\n%s", p.Name, p.Output())
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+metrics+"/healthz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			last = strings.TrimSpace(string(body))
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("not healthy (%s): %w", last, ctx.Err())
		}
	}
}

// Standalone is a running gyr-standalone.
type Standalone struct {
	*Process
	Addr, Metrics, Dir string
	Args               []string
}

// StartStandalone starts gyr-standalone on a folder and waits until it is healthy.
func StartStandalone(t testing.TB, dir string, args ...string) *Standalone {
	t.Helper()
	s := &Standalone{Dir: dir, Addr: fmt.Sprintf("127.0.0.1:%d", FreePort(t)), Metrics: fmt.Sprintf("127.0.0.1:%d", FreePort(t)), Args: args}
	s.Restart(t)
	return s
}

// Restart starts the program again on the same folder and ports and waits until it is healthy.
func (s *Standalone) Restart(t testing.TB) {
	t.Helper()
	args := append([]string{"--listen", s.Addr, "--metrics-listen", s.Metrics, "--data-dir", s.Dir}, s.Args...)
	s.Process = Start(t, "gyr-standalone", Binary(t, "gyr-standalone"), nil, args...)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := WaitHealthy(ctx, s.Process, s.Metrics); err != nil {
		t.Fatal(err)
	}
}
