// Package embedded runs one etcd server inside the process, for standalone. It owns the folder it is given: a lock
// keeps a second process out. It listens on one unix socket and on no TCP port; writes are fsynced.
package embedded

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"

	"github.com/gyr-db/gyr/pkg/meta/etcd"
)

const (
	// startTimeout bounds the wait for the server; an old folder replays its log.
	startTimeout = 30 * time.Second
	// maxSocketPath is what the kernel takes (sun_path without its terminator).
	maxSocketPath = 107
	// peerURL stands in the folder for the one member's address; nothing listens there.
	peerURL = "unix://gyr:0"
	// walBytes is the size in which the write-ahead log is allocated, instead of 64 MB; there are up to three files.
	walBytes = 8 << 20
)

// setWALBytes guards a variable of etcd's own, which is read whenever a server starts.
var setWALBytes sync.Once

// Server is a running etcd server.
type Server struct {
	etcd    *embed.Etcd
	log     *slog.Logger
	lock    *os.File
	socket  string
	tempDir string // holds the socket when the data folder's path is too long
	close   sync.Once
}

// Start starts a server on dir, which is made if need be, and waits until it answers. A folder in use by another
// process is an error.
func Start(dir string, log *slog.Logger) (*Server, error) {
	setWALBytes.Do(func() { wal.SegmentSizeBytes = walBytes })
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded etcd: make the data folder: %w", err)
	}
	s := &Server{log: log}
	if err := s.start(dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(dir string) (err error) {
	if s.lock, err = lockFile(filepath.Join(dir, "LOCK")); err != nil {
		return err
	}
	if s.socket, s.tempDir, err = socketPath(dir); err != nil {
		return err
	}
	if s.etcd, err = embed.StartEtcd(s.config(dir)); err != nil {
		return fmt.Errorf("embedded etcd: start on %s: %w", dir, err)
	}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-s.etcd.Server.ReadyNotify():
		return nil
	case err := <-s.etcd.Err():
		return fmt.Errorf("embedded etcd: start on %s: %w", dir, err)
	case <-timer.C:
		return fmt.Errorf("embedded etcd: not ready after %s", startTimeout)
	}
}

func (s *Server) config(dir string) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = "gyr"
	cfg.Dir = filepath.Join(dir, "etcd")
	client := url.URL{Scheme: "unix", Path: s.socket}
	peer, _ := url.Parse(peerURL)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = nil, []url.URL{*peer}
	cfg.InitialCluster = cfg.Name + "=" + peerURL
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.EnableGRPCGateway = false
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModeRevision, "1000"
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 2000, 100
	cfg.MaxWalFiles, cfg.MaxSnapFiles = 2, 2
	cfg.BootstrapDefragThresholdMegabytes = 64
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(etcd.Logger(s.log)))
	return cfg
}

// Endpoint is the address for clients in this machine.
func (s *Server) Endpoint() string { return "unix://" + s.socket }

// Open makes a client of this server.
func (s *Server) Open(ctx context.Context, root string) (*etcd.Store, error) {
	return etcd.Open(ctx, etcd.Config{Endpoints: []string{s.Endpoint()}, Root: root}, s.log)
}

// Failed reports the error that ends the server while it runs; it is closed at Close.
func (s *Server) Failed() <-chan error { return s.etcd.Err() }

// Close stops the server; clients should be closed before, else it waits for them a moment.
func (s *Server) Close() (err error) {
	s.close.Do(func() {
		if s.etcd != nil {
			s.etcd.Close()
		}
		if s.tempDir != "" {
			err = os.RemoveAll(s.tempDir)
		}
		if s.lock != nil {
			err = errors.Join(err, s.lock.Close())
		}
	})
	return err
}

// lockFile takes the lock that keeps other processes out; the kernel releases it when the process dies.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded etcd: %s: another process uses this folder: %w", path, err), f.Close())
	}
	return f, nil
}

// socketPath puts the socket into the data folder, or into a temporary folder when that path is too long. The
// temporary folder has the same name at each start, so that crashes leave at most one behind.
func socketPath(dir string) (path, tempDir string, err error) {
	path = filepath.Join(dir, "etcd.sock")
	if socketFits(path) {
		return path, "", nil
	}
	hash := sha256.Sum256([]byte(dir))
	name := fmt.Sprintf("gyr-%d-%x", os.Getuid(), hash[:6])
	for _, base := range []string{os.TempDir(), "/tmp"} {
		tempDir = filepath.Join(base, name)
		if path = filepath.Join(tempDir, "etcd.sock"); socketFits(path) {
			return path, tempDir, privateDir(tempDir)
		}
	}
	return "", "", fmt.Errorf("embedded etcd: no folder short enough for a socket: %s has more than %d bytes", path, maxSocketPath)
}

// privateDir makes a folder that is this user's alone; others may write beside it.
func privateDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("embedded etcd: make the socket's folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("embedded etcd: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ok || int(owner.Uid) != os.Getuid() {
		return fmt.Errorf("embedded etcd: %s is not a private folder of this user", dir)
	}
	return nil
}

// socketFits says whether a path is short enough and survives a URL as it is.
func socketFits(path string) bool {
	u, err := url.Parse("unix://" + path)
	return len(path) <= maxSocketPath && err == nil && u.Path == path && u.EscapedPath() == path
}
