package house

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// eachSource calls fn with every Go source file of packages and services outside tests.
func eachSource(t *testing.T, fn func(path, text string)) {
	t.Helper()
	eachFile(t, func(path, text string) {
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && under(path, "pkg", "services") {
			fn(path, text)
		}
	})
}

func TestEverySettingIsDocumented(t *testing.T) {
	const page = "docs/ops/configuration.md"
	doc := read(t, page)
	key := regexp.MustCompile(`set\.(?:String|Int|Bool|Duration|Bytes)\(&[^,]+, "([^"]+)"`)
	found := 0
	eachSource(t, func(path, text string) {
		for _, m := range key.FindAllStringSubmatch(text, -1) {
			found++
			if !strings.Contains(doc, "`"+m[1]+"`") {
				t.Errorf("%s registers the setting %s, which %s does not name: add a row", path, m[1], page)
			}
		}
	})
	if found < 10 {
		t.Fatalf("only %d settings found: how are they registered now?", found)
	}
}

func TestEveryMetricIsDocumented(t *testing.T) {
	const page = "docs/ops/metrics.md"
	doc := read(t, page)
	whole := regexp.MustCompile(`"(gyr_[a-z]+_[a-z_]*[a-z])"`)
	short := regexp.MustCompile(`(?:counter|histogram)\("([a-z_]+)"`)
	found := map[string]bool{}
	eachSource(t, func(path, text string) {
		names := whole.FindAllStringSubmatch(text, -1)
		if strings.Contains(text, `"gyr_datanode_" + name`) {
			for _, m := range short.FindAllStringSubmatch(text, -1) {
				names = append(names, []string{"", "gyr_datanode_" + m[1]})
			}
		}
		for _, m := range names {
			found[m[1]] = true
			if !strings.Contains(doc, "`"+m[1]+"`") {
				t.Errorf("%s makes the metric %s, which %s does not name: add a row", path, m[1], page)
			}
		}
	})
	for _, m := range regexp.MustCompile("(?m)^\\| `(gyr_[a-z_]+)`").FindAllStringSubmatch(doc, -1) {
		if !found[m[1]] {
			t.Errorf("%s names the metric %s, which nobody makes: remove the row", page, m[1])
		}
	}
}

func TestLinksOfDocumentsLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)`)
	eachFile(t, func(name, text string) {
		if !strings.HasSuffix(name, ".md") {
			return
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := path.Join(path.Dir(name), m[1])
			if _, err := os.Stat(filepath.Join(root(t), target)); err != nil {
				t.Errorf("%s links to %s, which is not there: correct the link", name, m[1])
			}
		}
	})
}

// TestPathsInArchitectureExist keeps the page true to the tree: names in backticks that look like files or folders.
func TestPathsInArchitectureExist(t *testing.T) {
	word := regexp.MustCompile("`((?:pkg|services|integration|tools|docs)/[a-z0-9_./-]+)`")
	for _, m := range word.FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1) {
		if _, err := os.Stat(filepath.Join(root(t), m[1])); err != nil {
			t.Errorf("ARCHITECTURE.md names %s, which is not there: say where it is now", m[1])
		}
	}
}

// TestTestsNamedInDocumentsExist: a promise whose test is gone is no promise.
func TestTestsNamedInDocumentsExist(t *testing.T) {
	have := map[string]bool{}
	eachFile(t, func(name, text string) {
		if strings.HasSuffix(name, "_test.go") {
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(text, -1) {
				have[m[1]] = true
			}
		}
	})
	eachFile(t, func(name, text string) {
		if !strings.HasSuffix(name, ".md") {
			return
		}
		for _, m := range regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z]\w+)(\*?)`).FindAllStringSubmatch(text, -1) {
			if m[2] == "" && !have[m[1]] {
				t.Errorf("%s names the test %s, which is not there: name the one that checks this now", name, m[1])
			}
		}
	})
}

func TestEveryCallIsDocumented(t *testing.T) {
	const page = "docs/compatibility.md"
	doc := read(t, page)
	call := regexp.MustCompile(`(?m)^func \(p \*Proxy\) ([A-Z]\w+)\((?:ctx|_)? ?context\.Context, ?(?:req|_)? ?\*milvuspb`)
	path := regexp.MustCompile(`"([a-z]+/[a-z_]+)": +rest`)
	found := 0
	eachSource(t, func(name, text string) {
		if !under(name, "services/proxy") {
			return
		}
		for _, m := range append(call.FindAllStringSubmatch(text, -1), path.FindAllStringSubmatch(text, -1)...) {
			found++
			if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(doc) {
				t.Errorf("%s serves %s, which %s does not name: add it", name, m[1], page)
			}
		}
	})
	if found < 60 {
		t.Fatalf("only %d calls found: how are they written now?", found)
	}
}
