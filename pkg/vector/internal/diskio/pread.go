package diskio

import (
	"context"
	"errors"
	"io"
)

// preadQueue reads by plain system calls.
type preadQueue struct {
	file  *File
	done  chan completion // has room for all slots
	ready []completion    // read from the page cache at once
}

func (q *preadQueue) start(slot int, buf []byte, off int64) {
	f := q.file
	if f.tryCache && f.nowait.read(f.f, buf, off) {
		q.ready = append(q.ready, completion{slot: slot, n: len(buf)})
		return
	}
	f.reads.Go(func() {
		f.slots <- struct{}{}
		n, err := f.f.ReadAt(buf, off)
		<-f.slots
		if n > 0 || errors.Is(err, io.EOF) {
			err = nil // a short read is looked into by its waiter
		}
		q.done <- completion{slot, n, err}
	})
}

func (q *preadQueue) wait(ctx context.Context) (completion, error) {
	if n := len(q.ready); n > 0 {
		c := q.ready[0]
		q.ready = append(q.ready[:0], q.ready[1:]...)
		return c, nil
	}
	select {
	case c := <-q.done:
		return c, nil
	case <-ctx.Done():
		return completion{}, ctx.Err()
	}
}

func (q *preadQueue) close() {}
