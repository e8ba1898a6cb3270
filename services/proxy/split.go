package proxy

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"time"
)

// firstBytesTimeout bounds how long a new connection may stay silent.
const firstBytesTimeout = 20 * time.Second

// splitter accepts connections and hands each to one of two listeners by its first bytes: a connection that begins
// with the HTTP/2 preface is gRPC's, any other is HTTP/1's. Only so does gRPC keep its own transport, and with it the
// enforcement of keepalive.
type splitter struct {
	base         net.Listener
	http2, http1 *sideListener

	mu      sync.Mutex // guards pending
	pending map[net.Conn]struct{}
}

func newSplitter(base net.Listener) *splitter {
	return &splitter{base: base, http2: newSideListener(base.Addr()), http1: newSideListener(base.Addr()), pending: map[net.Conn]struct{}{}}
}

// run accepts until the base listener is closed.
func (s *splitter) run() error {
	var wg sync.WaitGroup
	defer func() {
		s.http1.Close()
		s.http2.Close()
		s.dropPending()
		wg.Wait()
	}()
	for {
		conn, err := s.base.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() { // out of file descriptors
				time.Sleep(20 * time.Millisecond)
				continue
			}
			return err
		}
		s.mu.Lock()
		s.pending[conn] = struct{}{}
		s.mu.Unlock()
		wg.Go(func() { s.sort(conn) })
	}
}

func (s *splitter) sort(conn net.Conn) {
	side, c, err := s.peek(conn)
	s.mu.Lock()
	delete(s.pending, conn)
	s.mu.Unlock()
	if err != nil || !side.offer(c) {
		conn.Close()
	}
}

// dropPending closes the connections that have not sent their first bytes yet.
func (s *splitter) dropPending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.pending {
		conn.Close()
	}
}

func (s *splitter) peek(conn net.Conn) (*sideListener, net.Conn, error) {
	if err := conn.SetReadDeadline(time.Now().Add(firstBytesTimeout)); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(conn, 64)
	first, err := r.Peek(3)
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	c := &peekedConn{Conn: conn, r: r}
	if string(first) == "PRI" {
		return s.http2, c, nil
	}
	return s.http1, c, nil
}

// peekedConn gives back the bytes that were looked at.
type peekedConn struct {
	net.Conn
	r *bufio.Reader // nil once it is empty
}

func (c *peekedConn) Read(p []byte) (int, error) {
	if c.r != nil {
		if n := c.r.Buffered(); n > 0 {
			return c.r.Read(p[:min(n, len(p))])
		}
		c.r = nil
	}
	return c.Conn.Read(p)
}

// sideListener is a net.Listener that is fed with accepted connections.
type sideListener struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newSideListener(addr net.Addr) *sideListener {
	return &sideListener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *sideListener) offer(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		return false
	}
}

// Accept implements net.Listener.
func (l *sideListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *sideListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *sideListener) Addr() net.Addr { return l.addr }
