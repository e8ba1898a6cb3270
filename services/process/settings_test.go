package process

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/config"
)

func TestDescribe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.yaml")
	if err := os.WriteFile(file, []byte("own:\n  size: 3\nqueryNode:\n  cache: {memoryLimit: 1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	size := 1
	role := Role{Name: "gyr-test", Public: true, Defaults: ServesAPI, Register: func(s *config.Set) { s.Int(&size, "own.size", "a size") }}
	var out bytes.Buffer
	if err := Describe(role, []string{"--config", file, "--mq", "kafka://h:1/p"}, []string{"GYR_LOG_LEVEL=warn"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.1:19530", "# " + file + ":2", "# flag --mq", "# env GYR_LOG_LEVEL", "queryNode.cache.memoryLimit: known from milvus.yaml, has no effect"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if err := Describe(role, []string{"--nope"}, nil, &out); err == nil {
		t.Error("a flag that nobody knows is taken")
	}
	out.Reset()
	if err := Describe(role, []string{"--help"}, nil, &out); err != nil || !strings.Contains(out.String(), "--own.size") {
		t.Errorf("help: %v\n%s", err, out.String())
	}
}

func TestLocalFolders(t *testing.T) {
	cases := []struct {
		storage, mq string
		want        []string
	}{
		{"file:///a/objects", "woodpecker:///a/log", []string{"/a/objects", "/a/log"}},
		{"file:///a", "woodpecker:///a", []string{"/a"}},
		{"s3://bucket/data?endpoint=http://h:1", "woodpecker://?storage=s3&bucket=bucket&prefix=wal", nil},
		{"", "kafka://h:1/p", nil},
	}
	for _, c := range cases {
		s := Settings{Storage: c.storage, MQ: c.mq}
		if got := s.LocalFolders(); !slices.Equal(got, c.want) {
			t.Errorf("%q %q: %q, want %q", c.storage, c.mq, got, c.want)
		}
	}
}

func TestAdvertised(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for advertise, want := range map[string]string{"": l.Addr().String(), "node7:99": "node7:99", "node7:0": "node7:" + port} {
		if got, err := advertised(advertise, l); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", advertise, got, err, want)
		}
	}
	if _, err := advertised("node7", l); err == nil {
		t.Error("an address without a port is taken")
	}
}
