// Package config reads a process's settings: defaults, then a YAML file, then the environment, then flags.
//
// A Set is the table of keys that one binary knows; packages own their Config structs, main registers them in a Set.
// Keys of milvus.yaml that Gyr does not use are told apart from mistakes by the table in milvus.go: used, ignored
// with a notice, or refused. Every value remembers its origin, so that the effective settings can be printed.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// EnvPrefix starts the environment variables: GYR_ and the key in capitals, dots as underscores.
const EnvPrefix = "GYR_"

// Set is the table of one binary's keys.
type Set struct {
	program string
	keys    map[string]*key
	order   []string
	// Notices are lines to log once after Load: keys that are known and without effect.
	Notices []string
}

type key struct {
	name, flag, usage, origin string
	secret                    bool
	set                       func(string) error
	get                       func() string
}

// Option qualifies a key.
type Option func(*key)

// Flag gives the key a command line flag of another name than its own.
func Flag(name string) Option { return func(k *key) { k.flag = name } }

// Secret keeps the value out of printed settings.
func Secret() Option { return func(k *key) { k.secret = true } }

// New returns an empty Set.
func New(program string) *Set { return &Set{program: program, keys: map[string]*key{}} }

func (s *Set) add(name, usage string, set func(string) error, get func() string, opts []Option) {
	k := &key{name: name, flag: name, usage: usage, origin: "default", set: set, get: get}
	for _, o := range opts {
		o(k)
	}
	s.keys[strings.ToLower(name)] = k
	s.order = append(s.order, strings.ToLower(name))
}

// String registers a text; *p holds the default.
func (s *Set) String(p *string, name, usage string, opts ...Option) {
	s.add(name, usage, func(v string) error { *p = v; return nil }, func() string { return *p }, opts)
}

// Int registers a whole number.
func (s *Set) Int(p *int, name, usage string, opts ...Option) {
	s.add(name, usage, func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", v)
		}
		*p = n
		return nil
	}, func() string { return strconv.Itoa(*p) }, opts)
}

// Bool registers a switch.
func (s *Set) Bool(p *bool, name, usage string, opts ...Option) {
	s.add(name, usage, func(v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		*p = b
		return nil
	}, func() string { return strconv.FormatBool(*p) }, opts)
}

// Duration registers a time span such as 500ms or 10m.
func (s *Set) Duration(p *time.Duration, name, usage string, opts ...Option) {
	s.add(name, usage, func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("%q is no duration such as 500ms, 10s or 5m", v)
		}
		*p = d
		return nil
	}, func() string { return p.String() }, opts)
}

// Bytes registers a size such as 64MiB or 1073741824.
func (s *Set) Bytes(p *int64, name, usage string, opts ...Option) {
	s.add(name, usage, func(v string) error {
		n, err := ParseBytes(v)
		if err == nil {
			*p = n
		}
		return err
	}, func() string { return strconv.FormatInt(*p, 10) }, opts)
}

// ParseBytes reads a size in bytes, with an optional KiB, MiB or GiB behind the number.
func ParseBytes(v string) (int64, error) {
	units := []struct {
		suffix string
		factor int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}
	num, factor := v, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(v, u.suffix); ok {
			num, factor = strings.TrimSpace(n), u.factor
		}
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return 0, fmt.Errorf("%q is no size such as 64MiB or 1073741824", v)
	}
	return n * factor, nil
}

// ErrHelp: help or the version was asked for and has been printed.
var ErrHelp = errors.New("help printed")

// Load reads args (without the program's name) and the environment (as os.Environ gives it). The file comes from
// --config or GYR_CONFIG. The returned error is one line that names the place and what to do.
func (s *Set) Load(args, environ []string, version string, out io.Writer) error {
	fs := flag.NewFlagSet(s.program, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	file := fs.String("config", "", "")
	showVersion := fs.Bool("version", false, "")
	given := map[string]string{}
	for _, k := range s.keys {
		fs.Func(k.flag, k.usage, func(v string) error { given[strings.ToLower(k.name)] = v; return nil })
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		s.help(out)
		return ErrHelp
	case err != nil:
		return fmt.Errorf("%w; see %s --help", err, s.program)
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; see %s --help", fs.Arg(0), s.program)
	case *showVersion:
		fmt.Fprintf(out, "%s %s\n", s.program, version)
		return ErrHelp
	}
	env := environment(environ)
	if *file == "" {
		*file = env["config"]
	}
	if *file != "" {
		if err := s.loadFile(*file); err != nil {
			return err
		}
	}
	if err := s.loadEnv(env); err != nil {
		return err
	}
	for name, v := range given {
		k := s.keys[name]
		if err := k.set(v); err != nil {
			return fmt.Errorf("flag --%s: %w", k.flag, err)
		}
		k.origin = "flag --" + k.flag
	}
	return nil
}

func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		if rest, ok := strings.CutPrefix(kv, EnvPrefix); ok {
			name, v, _ := strings.Cut(rest, "=")
			env[strings.ToLower(name)] = v
		}
	}
	return env
}

func (s *Set) loadEnv(env map[string]string) error {
	for _, k := range s.keys {
		name := strings.ReplaceAll(strings.ToLower(k.name), ".", "_")
		v, ok := env[name]
		if !ok {
			continue
		}
		if err := k.set(v); err != nil {
			return fmt.Errorf("environment variable %s%s: %w", EnvPrefix, strings.ToUpper(name), err)
		}
		k.origin = "env " + EnvPrefix + strings.ToUpper(name)
	}
	return nil
}

func (s *Set) loadFile(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	entries, err := flatten(path, raw)
	if err != nil {
		return err
	}
	for _, e := range entries {
		where := fmt.Sprintf("%s:%d: key %s", path, e.line, e.key)
		if k := s.keys[strings.ToLower(e.key)]; k != nil {
			if err := k.set(e.value); err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
			k.origin = fmt.Sprintf("%s:%d", path, e.line)
			continue
		}
		notice, err := judgeMilvusKey(e.key, e.value)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if notice != "" {
			s.Notices = append(s.Notices, where+": "+notice)
		}
	}
	return nil
}

func (s *Set) help(out io.Writer) {
	fmt.Fprintf(out, "Usage: %s [flags]\n\nSettings come from the defaults, then --config FILE (YAML), then the environment, then flags.\n\n", s.program)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "  --config FILE\tYAML file with the keys below, dots as nesting\n  --version\tprint the version\n")
	for _, name := range s.order {
		k := s.keys[name]
		def := k.get()
		if k.secret {
			def = ""
		}
		if def != "" {
			def = " (default " + def + ")"
		}
		fmt.Fprintf(w, "  --%s\t%s%s\n", k.flag, k.usage, def)
	}
	w.Flush()
	fmt.Fprintf(out, "\nEvery setting has an environment variable: %s and its key in capitals, dots as underscores.\n", EnvPrefix)
}

// Print writes the effective settings with their origin, one per line; secrets are hidden.
func (s *Set) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	names := slices.Clone(s.order)
	slices.Sort(names)
	for _, name := range names {
		k := s.keys[name]
		v := k.get()
		if k.secret && v != "" {
			v = "(hidden)"
		}
		fmt.Fprintf(w, "%s\t%s\t# %s\n", k.name, v, k.origin)
	}
	return w.Flush()
}
