package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a gyr-standalone that the benchmark starts and kills.
type server struct {
	binary, dir      string
	address, metrics string
	log              string
	cmd              *exec.Cmd
	ended            chan struct{}
}

// clockTick is the unit of utime and stime in /proc/PID/stat: USER_HZ, which is 100 on Linux whatever the kernel's own.
const clockTick = 10 * time.Millisecond

func newServer(binary, dir string) (*server, error) {
	s := &server{binary: binary, dir: dir, log: dir + ".log"}
	for _, a := range []*string{&s.address, &s.metrics} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		*a = l.Addr().String()
		defer l.Close()
	}
	return s, nil
}

// start starts the program and waits until it is healthy; it answers how long that took from exec.
func (s *server) start(ctx context.Context) (time.Duration, error) {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	s.cmd = exec.Command(s.binary, "--data-dir", s.dir, "--listen", s.address, "--metrics-listen", s.metrics)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.ended = make(chan struct{})
	begin := time.Now()
	started := make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan struct{}) {
		// The parent-death signal belongs to the thread that forks, so that thread must live as long as the child.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
		close(ended)
	}(s.cmd, s.ended)
	if err := <-started; err != nil {
		return 0, fmt.Errorf("start %s: %w", s.binary, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !healthy(ctx, s.metrics) {
		select {
		case <-s.ended:
			return 0, fmt.Errorf("%s ended at its start:\n%s", s.binary, s.lastWords())
		case <-ctx.Done():
			return 0, fmt.Errorf("%s is not healthy: %w\n%s", s.binary, ctx.Err(), s.lastWords())
		case <-time.After(time.Millisecond):
		}
	}
	return time.Since(begin), nil
}

func healthy(ctx context.Context, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// kill ends the program by SIGKILL.
func (s *server) kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
}

// cpu is the processor time that the program has used, utime + stime.
func (s *server) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(raw))
}

func parseStat(stat string) (time.Duration, error) {
	// The program's name, in parentheses, may hold anything: count the fields behind it. utime and stime are fields 14 and 15.
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc stat line %q is not understood", stat)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("/proc stat line %q is not understood", stat)
	}
	return time.Duration(user+system) * clockTick, nil
}

// rss is the program's resident memory in bytes.
func (s *server) rss() (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc statm %q is not understood", raw)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func (s *server) lastWords() string {
	raw, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}
