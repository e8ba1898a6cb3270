package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type settings struct {
	Listen string
	Secret string
	Size   int64
	Age    time.Duration
	Count  int
	On     bool
}

func newSet() (*Set, *settings) {
	c := &settings{Listen: "127.0.0.1:19530", Size: 1, Age: time.Minute, Count: 3}
	s := New("gyr-test")
	s.String(&c.Listen, "proxy.listen", "address", Flag("listen"))
	s.String(&c.Secret, "minio.secretAccessKey", "key", Secret())
	s.Bytes(&c.Size, "seal.bytes", "size")
	s.Duration(&c.Age, "seal.age", "age")
	s.Int(&c.Count, "count", "count")
	s.Bool(&c.On, "on", "switch")
	return s, c
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gyr.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedenceAndOrigins(t *testing.T) {
	file := write(t, "proxy:\n  listen: file\nseal:\n  bytes: 2MiB\n  age: 5m\ncount: 4\nminio:\n  secretAccessKey: hush\n")
	s, c := newSet()
	err := s.Load([]string{"--config", file, "--count", "6"}, []string{"GYR_SEAL_AGE=7m", "GYR_COUNT=5", "OTHER=1"}, "v", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "file" || c.Size != 2<<20 || c.Age != 7*time.Minute || c.Count != 6 {
		t.Fatalf("%+v", c)
	}
	var out bytes.Buffer
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"flag --count", "env GYR_SEAL_AGE", file + ":2", "default", "(hidden)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("settings lack %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hush") {
		t.Error("the secret is printed")
	}
}

func TestMistakesAreNamed(t *testing.T) {
	cases := []struct{ file, arg, want string }{
		{"seal:\n  age: soon\n", "", ":2: key seal.age: \"soon\" is no duration"},
		{"seal:\n  agee: 1s\n", "", ":2: key seal.agee: unknown key"},
		{"common:\n  security:\n    authorizationEnabled: true\n", "", "authentication is not built yet"},
		{"common:\n  security:\n    tlsMode: 2\n", "", "TLS is not built yet"},
		{"a: [1, {b: 2}]\n", "", "plain values only"},
		{"just text", "", "expected keys and values"},
		{"a: &x\n  b: *x\n", "", ""},
		{"", "--nope", "flag provided but not defined: -nope; see gyr-test --help"},
		{"", "--count=many", "flag --count: \"many\" is not a whole number"},
		{"", "stray", "unexpected argument"},
	}
	for _, c := range cases {
		s, _ := newSet()
		args := []string{"--config", write(t, c.file)}
		if c.arg != "" {
			args = append(args, c.arg)
		}
		err := s.Load(args, nil, "v", nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: got %v, want %q", c.file, c.arg, err, c.want)
		}
	}
}

func TestMilvusKeys(t *testing.T) {
	s, _ := newSet()
	if err := s.Load([]string{"--config", write(t, "queryNode:\n  cache: {memoryLimit: 1}\ncommon:\n  security: {authorizationEnabled: false}\n")}, nil, "v", nil); err != nil {
		t.Fatal(err)
	}
	if len(s.Notices) != 1 || !strings.Contains(s.Notices[0], "queryNode.cache.memoryLimit") {
		t.Fatalf("notices: %q", s.Notices)
	}
}

func TestHelpAndVersion(t *testing.T) {
	var out bytes.Buffer
	s, _ := newSet()
	if err := s.Load([]string{"--help"}, nil, "v", &out); !errors.Is(err, ErrHelp) || !strings.Contains(out.String(), "--listen") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := s.Load([]string{"--version"}, nil, "1.2", &out); !errors.Is(err, ErrHelp) || out.String() != "gyr-test 1.2\n" {
		t.Fatalf("%v %q", err, out.String())
	}
}
