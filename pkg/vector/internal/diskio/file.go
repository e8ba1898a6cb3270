package diskio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

// Engine is a way to read.
type Engine uint8

// Engines. Auto is Uring where the system lets us, else Pool.
const (
	Auto Engine = iota
	Uring
	Pool
)

func (e Engine) String() string { return [...]string{"auto", "io_uring", "pread"}[e] }

// ErrClosed is returned by a File that was closed.
var ErrClosed = errors.New("the file was closed")

const (
	// MaxDepth bounds the slots of a Reader.
	MaxDepth = 64
	// preads is the number of reads that the pool has under way at the same time, which is about what disks like.
	preads = 32
)

// Config says how to read a file.
type Config struct {
	Path   string
	Block  int // bytes of a block, a multiple of 4096
	Depth  int // slots of a Reader
	Engine Engine
	Direct bool // past the page cache, where the file system can
}

// File is open for reading. It is safe for concurrent use.
type File struct {
	cfg    Config
	f      *os.File
	nowait nowait
	// tryCache is whether a read that does not wait is tried first. Past the page cache such a read waits all the same.
	tryCache bool
	slots    chan struct{}  // holds one value per pread under way
	reads    sync.WaitGroup // preads and drains under way

	mu     sync.Mutex // guards the rest
	idle   []*Reader
	engine Engine
	closed bool
	lent   int
	last   *sync.Cond // told when lent falls to 0
}

// Open opens a file.
func Open(cfg Config) (*File, error) {
	if cfg.Block < 1 || cfg.Block%4096 != 0 || cfg.Depth < 1 || cfg.Depth > MaxDepth {
		return nil, fmt.Errorf("reading %s in blocks of %d bytes, %d at a time, is not possible", cfg.Path, cfg.Block, cfg.Depth)
	}
	f, direct, err := openFile(cfg.Path, cfg.Direct)
	if err != nil {
		return nil, err
	}
	file := &File{cfg: cfg, f: f, tryCache: !direct, engine: cfg.Engine, slots: make(chan struct{}, preads)}
	file.last = sync.NewCond(&file.mu)
	if cfg.Engine != Pool {
		r, err := file.ringReader()
		switch {
		case err == nil:
			file.engine, file.idle = Uring, append(file.idle, r)
		case cfg.Engine == Uring:
			return nil, errors.Join(err, f.Close())
		default:
			file.engine = Pool
		}
	}
	return file, nil
}

// Engine returns the engine in use.
func (f *File) Engine() Engine {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.engine
}

// Reader returns a Reader with nothing under way, to be given back by Release.
func (f *File) Reader() (*Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	f.lent++
	if n := len(f.idle); n > 0 {
		r := f.idle[n-1]
		f.idle = f.idle[:n-1]
		return r, nil
	}
	if f.engine == Uring {
		// A system that gives no further ring, for want of descriptors or memory, still lets us read.
		if r, err := f.ringReader(); err == nil {
			return r, nil
		}
	}
	r, err := f.newReader()
	if err != nil {
		f.lent--
		return nil, err
	}
	r.q = &preadQueue{file: f, done: make(chan completion, f.cfg.Depth)}
	return r, nil
}

func (f *File) ringReader() (*Reader, error) {
	r, err := f.newReader()
	if err != nil {
		return nil, err
	}
	if r.q, err = newRing(f, f.cfg.Depth); err != nil {
		return nil, errors.Join(err, release(r.mem))
	}
	return r, nil
}

func (f *File) newReader() (*Reader, error) {
	mem, err := allocate(f.cfg.Block * f.cfg.Depth)
	if err != nil {
		return nil, err
	}
	return &Reader{file: f, mem: mem}, nil
}

// takeBack keeps a Reader for the next search, or frees it.
func (f *File) takeBack(r *Reader) {
	f.mu.Lock()
	keep := !f.closed && r.mem != nil && len(f.idle) < runtime.GOMAXPROCS(0)
	if keep {
		f.idle = append(f.idle, r)
	}
	f.mu.Unlock()
	if !keep {
		r.free()
	}
	f.mu.Lock()
	if f.lent--; f.lent == 0 {
		f.last.Broadcast()
	}
	f.mu.Unlock()
}

// Close waits until all Readers are back and all reads have ended. Closing twice is harmless.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	for f.lent > 0 {
		f.last.Wait()
	}
	idle := f.idle
	f.idle = nil
	f.mu.Unlock()
	f.reads.Wait()
	for _, r := range idle {
		r.free()
	}
	return f.f.Close()
}

// ReadAt reads without a Reader, for what no search waits for.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

// completion is the end of a read.
type completion struct {
	slot int
	n    int
	err  error
}

// queue is what an engine does for one Reader.
type queue interface {
	// start begins a read of the whole of buf.
	start(slot int, buf []byte, off int64)
	// wait returns a read that has ended; at least one is under way.
	wait(ctx context.Context) (completion, error)
	close()
}

// Reader reads blocks for one search at a time.
type Reader struct {
	file     *File
	q        queue
	mem      []byte
	offs     [MaxDepth]int64
	inFlight int
}

// Slots returns how many reads can be under way.
func (r *Reader) Slots() int { return r.file.cfg.Depth }

// Block returns the memory of a slot.
func (r *Reader) Block(slot int) []byte {
	size := r.file.cfg.Block
	return r.mem[slot*size : (slot+1)*size : (slot+1)*size]
}

// Start begins to read the block at off into a slot in which nothing is under way.
func (r *Reader) Start(slot int, off int64) {
	r.offs[slot] = off
	r.inFlight++
	r.q.start(slot, r.Block(slot), off)
}

// InFlight returns the number of reads under way.
func (r *Reader) InFlight() int { return r.inFlight }

// Wait returns a slot whose read has ended. An error with a slot of -1 is ctx's, and leaves reads under way.
func (r *Reader) Wait(ctx context.Context) (slot int, err error) {
	c, err := r.q.wait(ctx)
	if err != nil {
		return -1, err
	}
	r.inFlight--
	if c.err == nil && c.n < r.file.cfg.Block {
		c.err = r.rest(c)
	}
	return c.slot, c.err
}

// rest reads what a short read left out.
func (r *Reader) rest(c completion) error {
	off := r.offs[c.slot]
	n, err := r.file.f.ReadAt(r.Block(c.slot)[c.n:], off+int64(c.n))
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the file ends at %d, inside a block: %w", off+int64(c.n+n), io.ErrUnexpectedEOF)
	}
	return err
}

// Release gives the Reader back. Reads under way are waited for elsewhere.
func (r *Reader) Release() {
	f := r.file
	if r.inFlight == 0 {
		f.takeBack(r)
		return
	}
	f.reads.Go(func() {
		for r.inFlight > 0 {
			if slot, _ := r.Wait(context.Background()); slot < 0 {
				// The ring itself failed: its reads may still write to the memory, which therefore is given up.
				r.mem = nil
				break
			}
		}
		f.takeBack(r)
	})
}

func (r *Reader) free() {
	r.q.close()
	if r.mem != nil {
		_ = release(r.mem) // nothing useful is left to do with memory that cannot be unmapped
	}
}
