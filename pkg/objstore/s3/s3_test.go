package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/objtest"
	"github.com/gyr-db/gyr/pkg/objstore/s3"
)

// serve runs an S3 server in this process; meddle may stand in its way.
func serve(t *testing.T, meddle func(http.Handler) http.Handler) string {
	t.Helper()
	handler := gofakes3.New(s3mem.New()).Server()
	if meddle != nil {
		handler = meddle(handler)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL
}

func open(t *testing.T, cfg s3.Config) *s3.Store {
	t.Helper()
	if cfg.AccessKey == "" {
		cfg.AccessKey, cfg.SecretKey = "testkey", "testsecret123"
	}
	cfg.PathStyle, cfg.Create = true, true
	s, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	objtest.Run(t, objtest.Suite{New: func(t *testing.T) objstore.Store {
		return open(t, s3.Config{Endpoint: serve(t, nil), Bucket: "gyr", Prefix: "some/prefix"})
	}})
}

// TestRealServer runs the suite against the server whose endpoint GYR_TEST_S3 names; its keys are in
// GYR_STORAGE_ACCESS_KEY and GYR_STORAGE_SECRET_KEY, or those of tools/servers/s3.
func TestRealServer(t *testing.T) {
	endpoint := os.Getenv("GYR_TEST_S3")
	if endpoint == "" {
		t.Skip("GYR_TEST_S3 names no server")
	}
	objtest.Run(t, objtest.Suite{New: func(t *testing.T) objstore.Store {
		return open(t, s3.Config{
			Endpoint: endpoint, Bucket: "gyr-objtest", Prefix: strings.ToLower(rand.Text()),
			AccessKey: os.Getenv("GYR_STORAGE_ACCESS_KEY"), SecretKey: os.Getenv("GYR_STORAGE_SECRET_KEY"),
		})
	}})
}

// TestPrefixes: stores with different prefixes of one bucket do not see each other.
func TestPrefixes(t *testing.T) {
	url := serve(t, nil)
	a := open(t, s3.Config{Endpoint: url, Bucket: "gyr", Prefix: "/a/"})
	ab := open(t, s3.Config{Endpoint: url, Bucket: "gyr", Prefix: "ab"})
	put(t, a, "x", "1", false)
	put(t, ab, "y", "2", false)
	for _, s := range []*s3.Store{a, ab} {
		n := 0
		if err := s.List(t.Context(), "", "", func(objstore.Object) bool { n++; return true }); err != nil || n != 1 {
			t.Errorf("%d keys, %v", n, err)
		}
	}
}

func put(t *testing.T, s *s3.Store, key, body string, ifAbsent bool) {
	t.Helper()
	if err := tryPut(t.Context(), s, key, body, ifAbsent); err != nil {
		t.Fatal(err)
	}
}

func tryPut(ctx context.Context, s *s3.Store, key, body string, ifAbsent bool) error {
	return s.Put(ctx, key, strings.NewReader(body), int64(len(body)), objstore.PutOptions{IfAbsent: ifAbsent})
}

// meddler changes the answers to requests that it picks.
type meddler struct {
	next  http.Handler
	pick  func(*http.Request) bool
	times atomic.Int64 // how many more it picks
	do    func(http.ResponseWriter, *http.Request, http.Handler)
	seen  atomic.Int64
}

func (m *meddler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.pick(r) {
		m.seen.Add(1)
		if m.times.Add(-1) >= 0 {
			m.do(w, r, m.next)
			return
		}
	}
	m.next.ServeHTTP(w, r)
}

func meddled(t *testing.T, m *meddler) *s3.Store {
	t.Helper()
	url := serve(t, func(next http.Handler) http.Handler { m.next = next; return m })
	return open(t, s3.Config{Endpoint: url, Bucket: "gyr", Timeout: 20 * time.Second})
}

func isPutOf(key string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, key) }
}

// cut ends the connection.
func cut() { panic(http.ErrAbortHandler) }

// TestLostAnswer: a conditional Put that was stored and whose answer is lost says "exists", and the bytes are ours.
func TestLostAnswer(t *testing.T) {
	m := &meddler{pick: isPutOf("/a"), do: func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		cut()
	}}
	m.times.Store(1)
	s := meddled(t, m)
	err := tryPut(t.Context(), s, "a", "mine", true)
	if !errors.Is(err, objstore.ErrExists) {
		t.Errorf("got %v", err)
	}
	p := make([]byte, 4)
	if _, err := s.ReadAt(t.Context(), "a", p, 0); err != nil || string(p) != "mine" {
		t.Errorf("stored: %q, %v", p, err)
	}
}

func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		status, times int
		want          error // nil: succeeds
		requests      int64
	}{
		"two failures":   {503, 2, nil, 3},
		"conflict":       {409, 1, nil, 2},
		"for ever":       {500, 1000, errors.New(""), 5},
		"full":           {507, 1000, objstore.ErrFull, 1},
		"not authorized": {403, 1000, errors.New(""), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &meddler{pick: isPutOf("/a"), do: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				io.Copy(io.Discard, r.Body)
				w.WriteHeader(c.status)
				if c.status == 409 {
					io.WriteString(w, "<Error><Code>ConditionalRequestConflict</Code></Error>")
				}
			}}
			m.times.Store(int64(c.times))
			err := tryPut(t.Context(), meddled(t, m), "a", "x", true)
			if (err == nil) != (c.want == nil) || m.seen.Load() != c.requests {
				t.Errorf("%v after %d requests, want %d", err, m.seen.Load(), c.requests)
			}
			if c.want == objstore.ErrFull && !errors.Is(err, objstore.ErrFull) {
				t.Errorf("507 gives %v", err)
			}
		})
	}
}

// TestBrokenBodies: reads whose body is cut go on where they stopped.
func TestBrokenBodies(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	m := &meddler{pick: func(r *http.Request) bool { return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/a") }}
	m.do = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		cut()
	}
	s := meddled(t, m)
	if err := s.Put(t.Context(), "a", bytes.NewReader(want), int64(len(want)), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	m.times.Store(2)
	p := make([]byte, 500_000)
	if n, err := s.ReadAt(t.Context(), "a", p, 1234); err != nil || !bytes.Equal(p, want[1234:1234+n]) {
		t.Errorf("ReadAt: %d, %v", n, err)
	}
	m.times.Store(2)
	r, _, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("Get: %d bytes, %v", len(got), err)
	}
	r.Close()
	m.times.Store(1000)
	if _, err := s.ReadAt(t.Context(), "a", p, 0); err == nil {
		t.Error("ReadAt gets everything from a server that always breaks")
	}
}

// TestBlackHole: a server that takes everything and says nothing is given up at the deadline.
func TestBlackHole(t *testing.T) {
	hold := make(chan struct{})
	m := &meddler{pick: isPutOf("/a"), do: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		io.Copy(io.Discard, r.Body)
		<-hold
	}}
	m.times.Store(1000)
	s := meddled(t, m)
	defer close(hold)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := tryPut(ctx, s, "a", "x", false); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 3*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestBucket(t *testing.T) {
	url := serve(t, nil)
	cfg := s3.Config{Endpoint: url, Bucket: "none", PathStyle: true, AccessKey: "k", SecretKey: "s"}
	if _, err := s3.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "create=true") {
		t.Errorf("without the bucket: %v", err)
	}
	cfg.Create = true
	for range 2 {
		if _, err := s3.Open(t.Context(), cfg); err != nil {
			t.Errorf("with create: %v", err)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]s3.Config{
		"no bucket":     {},
		"bad prefix":    {Bucket: "b", Prefix: "a/../b"},
		"endpoint":      {Bucket: "b", Endpoint: "localhost:9000"},
		"keys in URL":   {Bucket: "b", Endpoint: "http://k:s@localhost:9000"},
		"half a key":    {Bucket: "b", AccessKey: "k"},
		"tiny parts":    {Bucket: "b", PartBytes: 1 << 20},
		"negative time": {Bucket: "b", Timeout: -1},
	} {
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
