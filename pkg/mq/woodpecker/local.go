package woodpecker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gyr-db/gyr/pkg/mq"
)

// LocalConfig says where logs are and how their files are cut.
type LocalConfig struct {
	// Dir is the folder of all logs, an absolute path. It is made when it is not there.
	Dir string
	// FileBytes is the size at which a log goes on in a new file; 0 means 64 MiB.
	FileBytes int64
	// MaxEntryBytes bounds one entry; 0 means 256 MiB.
	MaxEntryBytes int64
}

// DefaultFileBytes is the size of a log file.
const DefaultFileBytes = 64 << 20

func (c LocalConfig) withDefaults() LocalConfig {
	if c.FileBytes == 0 {
		c.FileBytes = DefaultFileBytes
	}
	if c.MaxEntryBytes == 0 {
		c.MaxEntryBytes = 256 << 20
	}
	return c
}

// Validate checks the values.
func (c LocalConfig) Validate() error {
	c = c.withDefaults()
	switch {
	case !filepath.IsAbs(c.Dir):
		return fmt.Errorf("woodpecker: folder %q is no absolute path", c.Dir)
	case c.FileBytes < 1024 || c.FileBytes > 1<<30:
		return fmt.Errorf("woodpecker: file size of %d bytes, 1 KiB to 1 GiB can be had", c.FileBytes)
	case c.MaxEntryBytes < 1 || c.MaxEntryBytes > 1<<30:
		return fmt.Errorf("woodpecker: entries of %d bytes, 1 byte to 1 GiB can be had", c.MaxEntryBytes)
	}
	return nil
}

// LocalDeps are what Local works with; nil means the operating system's file system and no log.
type LocalDeps struct {
	FS     FS
	Logger *slog.Logger
}

// Local is the queue in a folder of the local disk. One process has the folder at a time.
type Local struct {
	cfg    LocalConfig
	fs     FS
	logger *slog.Logger
	lock   io.Closer
	ctx    context.Context // ends at Close
	cancel context.CancelFunc

	mu     sync.Mutex // guards logs, and the folder's names
	logs   map[string]*localLog
	closed bool
}

var _ mq.Queue = (*Local)(nil)

// Names in the folders. Names of logs are escaped and never begin with a dot.
const (
	lockName    = "LOCK"
	idName      = "ID"
	logsName    = "logs"
	newPrefix   = ".new-"
	gonePrefix  = ".gone-"
	maxNameSize = 200
)

// OpenLocal takes the folder's lock and opens it.
func OpenLocal(cfg LocalConfig, deps LocalDeps) (*Local, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	q := &Local{cfg: cfg, fs: deps.FS, logger: deps.Logger, logs: map[string]*localLog{}}
	if q.fs == nil {
		q.fs = osFS{}
	}
	if q.logger == nil {
		q.logger = slog.New(slog.DiscardHandler)
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	if err := q.start(); err != nil {
		q.cancel()
		return nil, fmt.Errorf("woodpecker: %w", err)
	}
	return q, nil
}

func (q *Local) start() error {
	if err := q.fs.MkdirAll(q.root()); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	lock, err := q.fs.Lock(filepath.Join(q.cfg.Dir, lockName))
	if err != nil {
		return err
	}
	q.lock = lock
	if err := q.clean(); err != nil {
		return errors.Join(err, lock.Close())
	}
	return nil
}

// clean makes the folder's own name durable and removes what a crash left of unfinished Creates and Deletes.
func (q *Local) clean() error {
	for _, dir := range []string{filepath.Dir(q.cfg.Dir), q.cfg.Dir, q.root()} {
		if err := q.fs.SyncDir(dir); err != nil {
			return fmt.Errorf("sync folder %s: %w", dir, err)
		}
	}
	names, err := q.fs.ReadDir(q.root())
	if err != nil {
		return fmt.Errorf("list the folder: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, newPrefix) || strings.HasPrefix(name, gonePrefix) {
			if err := q.fs.RemoveAll(filepath.Join(q.root(), name)); err != nil {
				return fmt.Errorf("remove a left-over: %w", err)
			}
		}
	}
	return nil
}

func (q *Local) root() string { return filepath.Join(q.cfg.Dir, logsName) }

func (q *Local) dir(name string) string { return filepath.Join(q.root(), escape(name)) }

// escape gives a file name that no other log's name gives.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func checkID(id mq.LogID) error {
	if id.Name == "" || len(escape(id.Name)) > maxNameSize || id.UUID == "" || len(id.UUID) > maxUUID {
		return fmt.Errorf("name %q, uuid %q: a name has 1 to %d bytes when escaped, a uuid 1 to %d", id.Name, id.UUID, maxNameSize, maxUUID)
	}
	return nil
}

// Create implements mq.Queue: a folder is made aside, with everything in it durable, and then renamed.
func (q *Local) Create(ctx context.Context, id mq.LogID) error {
	if err := q.do(ctx, func() error { return q.create(id) }); err != nil {
		return fmt.Errorf("woodpecker: create log %s: %w", id.Name, err)
	}
	return nil
}

// do runs fn under the lock, unless the queue is closed or ctx has ended.
func (q *Local) do(ctx context.Context, fn func() error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return mq.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn()
}

func (q *Local) create(id mq.LogID) error {
	if err := checkID(id); err != nil {
		return err
	}
	if _, found, err := q.uuidOf(id.Name); err != nil || found {
		return errors.Join(err, mq.ErrExists)
	}
	aside := filepath.Join(q.root(), newPrefix+rand.Text())
	err := q.fill(aside, id)
	if err == nil {
		err = q.fs.Rename(aside, q.dir(id.Name))
	}
	if err == nil {
		err = q.fs.SyncDir(q.root())
	}
	if err == nil {
		return nil
	}
	if isFull(err) {
		err = fmt.Errorf("%w: %w", mq.ErrFull, err)
	}
	return errors.Join(err, q.fs.RemoveAll(aside))
}

// fill makes a log's folder: its identity, and a first file that holds no entry and never will. A log without any
// file has lost files.
func (q *Local) fill(dir string, id mq.LogID) error {
	if err := q.fs.MkdirAll(dir); err != nil {
		return err
	}
	first := fileHeader{number: 1, base: 1, salt: newSalt(), uuid: id.UUID}
	for name, content := range map[string][]byte{
		idName:          encodeID(id),
		fileName(first): first.encode(),
	} {
		if err := q.writeFile(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return q.fs.SyncDir(dir)
}

func (q *Local) writeFile(path string, content []byte) error {
	f, err := q.fs.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// uuidOf reads the identity of a log.
func (q *Local) uuidOf(name string) (uuid string, found bool, err error) {
	path := filepath.Join(q.dir(name), idName)
	b, err := q.readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	id, err := decodeID(b)
	if err == nil && id.Name != name {
		err = fmt.Errorf("it names log %q: %w", id.Name, mq.ErrCorrupt)
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", path, err)
	}
	return id.UUID, true, nil
}

func (q *Local) readFile(path string) ([]byte, error) {
	f, err := q.fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := readAll(f, nil)
	return b, errors.Join(err, f.Close())
}

// readAll reads a file into buf, which grows as needed.
func readAll(f File, buf []byte) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	n, err := f.ReadAt(buf, 0)
	if errors.Is(err, io.EOF) && int64(n) == size {
		err = nil
	}
	return buf[:n], err
}

// Open implements mq.Queue. The first open of a log recovers it; later ones share it. The hint is not needed.
func (q *Local) Open(ctx context.Context, id mq.LogID, _ mq.Position) (mq.Log, error) {
	var handle *localHandle
	err := q.do(ctx, func() error {
		l, err := q.open(id)
		if err != nil {
			return err
		}
		handle = newLocalHandle(l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("woodpecker: open log %s: %w", id.Name, err)
	}
	return handle, nil
}

func (q *Local) open(id mq.LogID) (*localLog, error) {
	if l := q.logs[id.Name]; l != nil {
		if l.uuid != id.UUID {
			return nil, fmt.Errorf("it has uuid %s, not %s: %w", l.uuid, id.UUID, mq.ErrUnknownLog)
		}
		return l, nil
	}
	uuid, found, err := q.uuidOf(id.Name)
	if err != nil {
		return nil, err
	}
	if !found || uuid != id.UUID {
		return nil, fmt.Errorf("found uuid %q, not %q: %w", uuid, id.UUID, mq.ErrUnknownLog)
	}
	l, err := recoverLog(q, id)
	if err != nil {
		return nil, err
	}
	q.logs[id.Name] = l
	return l, nil
}

// Delete implements mq.Queue.
func (q *Local) Delete(ctx context.Context, id mq.LogID) error {
	if err := q.do(ctx, func() error { return q.remove(id) }); err != nil {
		return fmt.Errorf("woodpecker: delete log %s: %w", id.Name, err)
	}
	return nil
}

func (q *Local) remove(id mq.LogID) error {
	uuid, found, err := q.uuidOf(id.Name)
	if err != nil || !found || uuid != id.UUID {
		return err
	}
	if l := q.logs[id.Name]; l != nil {
		delete(q.logs, id.Name)
		_ = l.shut(mq.ErrUnknownLog) // its files go
	}
	aside := filepath.Join(q.root(), gonePrefix+rand.Text())
	if err := q.fs.Rename(q.dir(id.Name), aside); err != nil {
		return err
	}
	if err := q.fs.SyncDir(q.root()); err != nil {
		return err
	}
	return q.fs.RemoveAll(aside)
}

// Close ends all logs and gives the lock back.
func (q *Local) Close() error {
	q.cancel()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	var errList []error
	for _, l := range q.logs {
		errList = append(errList, l.shut(mq.ErrClosed))
	}
	return errors.Join(append(errList, q.lock.Close())...)
}
