package house

import (
	"regexp"
	"strings"
	"testing"
)

// The words are put together here, so that this file does not hold them.
var (
	leftovers = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|HA` + `CK)\b`)
	machines  = regexp.MustCompile(`(^|[\s"'=(` + "`" + `:])/(wor` + `k|ho` + `me|Use` + `rs|ro` + `ot)/\w`)
	hosts     = regexp.MustCompile(`https?://[a-z0-9.:-]*(artif` + `actory|nex` + `us|mir` + `ror|reg` + `istry)[a-z0-9.:-]*/`)
)

func TestNoLeftovers(t *testing.T) {
	eachLine(t, func(where, line string) {
		if m := leftovers.FindString(line); m != "" {
			t.Errorf("%s says %s: build it, or return an honest error (errs.Unimplemented), and list it in docs/roadmap.md", where, m)
		}
	})
}

func TestNoMachineInTheRepository(t *testing.T) {
	eachLine(t, func(where, line string) {
		if m := machines.FindString(line); m != "" {
			t.Errorf("%s names a folder of one machine (%q): use a path relative to the repository, a temporary folder or a flag", where, strings.TrimSpace(m))
		}
		if m := hosts.FindString(line); m != "" {
			t.Errorf("%s names a package host (%q): the package manager's own settings say where packages come from", where, m)
		}
	})
}

func eachLine(t *testing.T, fn func(where, line string)) {
	eachFile(t, func(path, text string) {
		for i, line := range strings.Split(text, "\n") {
			fn(path+":"+itoa(i+1), line)
		}
	})
}
