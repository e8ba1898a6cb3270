package diskio

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of the kernel's interface (include/uapi/linux/io_uring.h).
const (
	opRead = 22

	offRings   = 0
	offEntries = 0x10000000

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featRWCurPos   = 1 << 3 // came with opRead, in 5.6
	featExtArg     = 1 << 8
)

type ringOffsets struct {
	head, tail, mask, entries, flagsOrOverflow, droppedOrEntries, arrayOrFlags, reserved uint32
	userAddr                                                                             uint64
}

type ringParams struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, wqFD uint32
	reserved                                                           [3]uint32
	sq, cq                                                             ringOffsets
}

type submission struct {
	opcode, flags uint8
	prio          uint16
	fd            int32
	off, addr     uint64
	length        uint32
	rwFlags       uint32
	userData      uint64
	rest          [3]uint64
}

type ringCompletion struct {
	userData uint64
	result   int32
	flags    uint32
}

// eventsArg is how a wait gets its time limit.
type eventsArg struct {
	mask     uint64
	maskSize uint32
	pad      uint32
	timeout  uint64
}

// ring is an io_uring of one Reader. One goroutine uses it at a time; the kernel is the other side of head and tail.
type ring struct {
	fd      int
	fileFD  int32
	rings   []byte
	entries []byte
	sqes    []submission
	cqes    []ringCompletion
	sqTail  *uint32
	sqMask  uint32
	sqArray []uint32
	cqHead  *uint32
	cqTail  *uint32
	cqMask  uint32
	unsent  uint32
	extArg  bool
	timeout unix.Timespec
	timeArg eventsArg
}

// waitStep is how long a wait lasts before it looks at its context.
const waitStep = 20 * time.Millisecond

func newRing(f *File, depth int) (queue, error) {
	var p ringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(depth), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("setting up io_uring: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	r := &ring{fd: int(fd), fileFD: int32(f.f.Fd()), extArg: p.features&featExtArg != 0}
	const need = featSingleMmap | featNoDrop | featRWCurPos
	if p.features&need != need {
		r.close()
		return nil, fmt.Errorf("setting up io_uring: this kernel's is too old")
	}
	if err := r.mapRings(&p); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) mapRings(p *ringParams) (err error) {
	size := max(p.sq.arrayOrFlags+p.sqEntries*4, p.cq.droppedOrEntries+p.cqEntries*uint32(unsafe.Sizeof(ringCompletion{})))
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if r.rings, err = unix.Mmap(r.fd, offRings, int(size), prot, flags); err != nil {
		return fmt.Errorf("mapping io_uring: %w", err)
	}
	if r.entries, err = unix.Mmap(r.fd, offEntries, int(p.sqEntries)*int(unsafe.Sizeof(submission{})), prot, flags); err != nil {
		return fmt.Errorf("mapping io_uring: %w", err)
	}
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[off])) }
	r.sqTail, r.sqMask = word(p.sq.tail), *word(p.sq.mask)
	r.cqHead, r.cqTail, r.cqMask = word(p.cq.head), word(p.cq.tail), *word(p.cq.mask)
	r.sqArray = unsafe.Slice(word(p.sq.arrayOrFlags), p.sqEntries)
	r.sqes = unsafe.Slice((*submission)(unsafe.Pointer(&r.entries[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*ringCompletion)(unsafe.Pointer(&r.rings[p.cq.droppedOrEntries])), p.cqEntries)
	return nil
}

// start writes an entry; the kernel is told with the next wait, once for all that were started since the last.
func (r *ring) start(slot int, buf []byte, off int64) {
	tail := *r.sqTail // only we write it
	i := tail & r.sqMask
	r.sqes[i] = submission{
		opcode: opRead, fd: r.fileFD, off: uint64(off), addr: uint64(uintptr(unsafe.Pointer(&buf[0]))),
		length: uint32(len(buf)), userData: uint64(slot),
	}
	r.sqArray[i] = i
	atomic.StoreUint32(r.sqTail, tail+1)
	r.unsent++
}

func (r *ring) wait(ctx context.Context) (completion, error) {
	for {
		// What is done is taken before more is handed over: one call then serves several reads.
		if c, ok := r.take(); ok {
			return c, nil
		}
		if err := ctx.Err(); err != nil && r.unsent == 0 {
			return completion{}, err
		}
		if err := r.enter(); err != nil {
			return completion{}, err
		}
	}
}

// take returns a read that the kernel has reported.
func (r *ring) take() (completion, bool) {
	head := *r.cqHead // only we write it
	if head == atomic.LoadUint32(r.cqTail) {
		return completion{}, false
	}
	e := r.cqes[head&r.cqMask]
	atomic.StoreUint32(r.cqHead, head+1)
	c := completion{slot: int(e.userData), n: int(e.result)}
	if e.result < 0 {
		c.n = 0
		if errno := unix.Errno(-e.result); errno != unix.EAGAIN && errno != unix.EINTR {
			c.err = errno
		}
	}
	return c, true
}

// enter hands over what was started and waits for a completion, for waitStep at most.
func (r *ring) enter() error {
	flags, arg, size := uintptr(enterGetEvents), unsafe.Pointer(nil), uintptr(0)
	if r.extArg {
		r.timeout = unix.NsecToTimespec(int64(waitStep))
		r.timeArg.timeout = uint64(uintptr(unsafe.Pointer(&r.timeout)))
		flags, arg, size = flags|enterExtArg, unsafe.Pointer(&r.timeArg), unsafe.Sizeof(r.timeArg)
	}
	n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unsent), 1, flags, uintptr(arg), size)
	switch errno {
	case 0:
		r.unsent -= uint32(n)
	case unix.ETIME, unix.EINTR, unix.EAGAIN, unix.EBUSY:
	default:
		return fmt.Errorf("entering io_uring: %w", errno)
	}
	return nil
}

func (r *ring) close() {
	for _, m := range [][]byte{r.entries, r.rings} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	_ = unix.Close(r.fd)
}
