package open_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/open"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
)

func TestOpens(t *testing.T) {
	store := mem.New()
	for _, url := range []string{"woodpecker://" + t.TempDir(), "woodpecker://?storage=s3&bucket=b&prefix=wal", "woodpecker://?storage=s3&bucket=b"} {
		q, err := open.Queue(t.Context(), url, open.Deps{ObjectStore: store, Bucket: "b"})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		if err := q.Create(t.Context(), mq.LogID{Name: "l", UUID: "u"}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
	found := false
	_ = store.List(context.Background(), "wal/l/", "", func(o objstore.Object) bool { found = true; return false })
	if !found {
		t.Error("nothing under the prefix")
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	for url, want := range map[string]string{
		"":                                      "no URL",
		"/a/folder":                             "no URL",
		"rocksmq:///x":                          `"rocksmq" is unknown`,
		"woodpecker://":                         "neither a folder nor a storage",
		"woodpecker://host/dir":                 "no host",
		"woodpecker://" + dir + "?a=b":          "takes no options",
		"woodpecker://?storage=tape":            `"tape" is unknown`,
		"woodpecker://?storage=s3":              "bucket is missing",
		"woodpecker://?storage=s3&bucket=other": `in the bucket of the object storage, "b"`,
		"woodpecker://?storage=s3&bucket=b&x=y": `"x" is unknown`,
		"woodpecker://?storage=s3&bucket=b&prefix=a/../b": "prefix",
		"kafka:///prefix":       "no brokers",
		"kafka://host:1/":       "prefix",
		"kafka://127.0.0.1:1/p": "ask the brokers",
	} {
		if q, err := open.Queue(t.Context(), url, open.Deps{ObjectStore: mem.New(), Bucket: "b"}); err == nil || q != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", url, q, err, want)
		}
	}
	if _, err := open.Queue(t.Context(), "pulsar://h:1/t/n", open.Deps{}); !errs.Is(err, errs.Unimplemented) {
		t.Errorf("pulsar: %v", err)
	}
	if _, err := open.Queue(t.Context(), "woodpecker://?storage=s3&bucket=b", open.Deps{}); err == nil {
		t.Error("no object store, and no error")
	}
}

func TestEntryIsObject(t *testing.T) {
	for url, want := range map[string]bool{
		"woodpecker://?storage=s3&bucket=b&prefix=p": true, "woodpecker:///dir": false, "kafka://h:1/p": false, "://": false,
	} {
		if got := open.EntryIsObject(url); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}
