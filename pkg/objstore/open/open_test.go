package open

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
)

// unconditional is a store that takes every Put, as some servers do.
type unconditional struct{ objstore.Store }

func (u unconditional) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, _ objstore.PutOptions) error {
	return u.Store.Put(ctx, key, r, size, objstore.PutOptions{})
}

// careless answers "exists" and writes all the same.
type careless struct{ objstore.Store }

func (c careless) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, _ objstore.PutOptions) error {
	_, before := c.Store.Stat(ctx, key)
	err := c.Store.Put(ctx, key, r, size, objstore.PutOptions{})
	if before == nil && err == nil {
		return objstore.ErrExists
	}
	return err
}

func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		wrap func(objstore.Store) objstore.Store
		want error
	}{
		"good":          {func(s objstore.Store) objstore.Store { return s }, nil},
		"unconditional": {func(s objstore.Store) objstore.Store { return unconditional{s} }, ErrUnconditional},
		"careless":      {func(s objstore.Store) objstore.Store { return careless{s} }, ErrUnconditional},
	} {
		inner := mem.New()
		if err := Probe(t.Context(), c.wrap(inner)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := inner.List(t.Context(), "", "", func(o objstore.Object) bool {
			t.Errorf("%s: left %s", name, o.Key)
			return true
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestFile(t *testing.T) {
	s, err := Store(t.Context(), "file://"+t.TempDir()+"/a/b")
	if err != nil {
		t.Fatal(err)
	}
	if err := Probe(t.Context(), s); err != nil {
		t.Error(err)
	}
}

func TestS3(t *testing.T) {
	t.Setenv("GYR_STORAGE_ACCESS_KEY", "k")
	t.Setenv("GYR_STORAGE_SECRET_KEY", "s")
	honest := gofakes3.New(s3mem.New()).Server()
	ignoring := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-None-Match")
		honest.ServeHTTP(w, r)
	})
	good, bad := httptest.NewServer(honest), httptest.NewServer(ignoring)
	defer good.Close()
	defer bad.Close()
	if _, err := Store(t.Context(), "s3://gyr/p?endpoint="+good.URL); err == nil || !strings.Contains(err.Error(), "create=true") {
		t.Errorf("without the bucket: %v", err)
	}
	s, err := Store(t.Context(), "s3://gyr/p?create=true&endpoint="+good.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a", strings.NewReader("x"), 1, objstore.PutOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := Store(t.Context(), "s3://gyr?endpoint="+bad.URL); !errors.Is(err, ErrUnconditional) {
		t.Errorf("a server that ignores the condition: %v", err)
	}
}

func TestURLs(t *testing.T) {
	for _, bad := range []string{
		"", "/dir", "http://x", "file://host/dir", "file://relative", "file:///dir?x=y", "s3://", "s3:///prefix",
		"s3://b?colour=red", "s3://b?create=perhaps", "s3://key:secret@b", "s3://b?endpoint=localhost:1", "s3://b?ca_file=/none",
		"s3://b/a/../c?endpoint=http://localhost:1", "%",
	} {
		if _, err := Store(t.Context(), bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	u, _ := url.Parse("s3://b/p/q/?endpoint=http://h:1&region=eu-x&path_style=false&create=1")
	cfg, err := s3Config(u)
	if err != nil || cfg.Bucket != "b" || cfg.Prefix != "p/q/" || cfg.Endpoint != "http://h:1" || cfg.Region != "eu-x" || cfg.PathStyle || !cfg.Create {
		t.Errorf("%+v, %v", cfg, err)
	}
}
