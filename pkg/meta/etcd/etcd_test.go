package etcd_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/meta/etcd"
	"github.com/gyr-db/gyr/pkg/meta/metatest"
)

// TestRealServer runs the suite against the cluster whose endpoints GYR_TEST_ETCD names, with commas between; the
// embedded server's tests run it always.
func TestRealServer(t *testing.T) {
	endpoints := os.Getenv("GYR_TEST_ETCD")
	if endpoints == "" {
		t.Skip("GYR_TEST_ETCD names no server")
	}
	metatest.Run(t, metatest.Suite{New: func(*testing.T) metatest.Open {
		root := "gyr-test/" + rand.Text()
		return func(t *testing.T) meta.Store {
			s, err := etcd.Open(context.Background(), etcd.Config{Endpoints: strings.Split(endpoints, ","), Root: root}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}})
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]etcd.Config{
		"no endpoints":     {},
		"an empty one":     {Endpoints: []string{"a:1", ""}},
		"negative timeout": {Endpoints: []string{"a:1"}, RequestTimeout: -1},
	} {
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	cfg := etcd.Config{Endpoints: []string{"a:1"}, Root: "/x/"}
	if err := cfg.Validate(); err != nil || cfg.Root != "x/" || cfg.RequestTimeout != 5*time.Second {
		t.Errorf("%+v, %v", cfg, err)
	}
}
