package house

import (
	"slices"
	"strings"
	"testing"
)

// under reports whether a package path is dir or lies below it.
func under(path string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return path == d || strings.HasPrefix(path, d+"/") })
}

// homes are third-party modules that one folder only may import, outside tests.
var homes = [...]struct {
	module string
	at     []string
	remedy string
}{
	{"github.com/segmentio/kafka-go", []string{"pkg/mq/kafka"}, "use pkg/mq's interface; the driver is opened by URL in pkg/mq/open"},
	{"github.com/apache/pulsar-client-go", []string{"pkg/mq/pulsar"}, "use pkg/mq's interface"},
	{"github.com/aws", []string{"pkg/objstore/s3"}, "use pkg/objstore's interface; the driver is opened by URL in pkg/objstore/open"},
	{"go.etcd.io", []string{"pkg/meta/etcd"}, "use pkg/meta's interface; mem and fault implement it for tests"},
	{"go.opentelemetry.io/otel/exporters", []string{"pkg/obs"}, "spans are exported by pkg/obs"},
	{"k8s.io", []string{"deploy/k8s"}, "only the operator knows Kubernetes"},
	{"github.com/parquet-go", []string{"pkg/segment", "integration"}, "rows files are read and written by pkg/segment"},
}

func TestThirdPartiesStayInTheirFolders(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			for _, h := range homes {
				if under(imp, h.module) && !under(p.path(), h.at...) {
					t.Errorf("%s imports %s, which only %s may: %s", p.path(), imp, strings.Join(h.at, ", "), h.remedy)
				}
			}
		}
	}
}

// pure packages compute; they get bytes and give bytes.
var pure = [...]string{"pkg/vector", "pkg/segment", "pkg/index", "pkg/expr", "pkg/plan", "pkg/schema", "pkg/bitset", "pkg/tso"}

func TestPurePackagesKnowNoNetwork(t *testing.T) {
	for _, p := range packages(t) {
		if !under(p.path(), pure[:]...) {
			continue
		}
		for _, imp := range p.Imports {
			if under(imp, "net", "google.golang.org/grpc", prefix+"pkg/rpc", prefix+"pkg/mq/kafka", prefix+"pkg/meta/etcd", prefix+"pkg/objstore/s3") {
				t.Errorf("%s imports %s: it must not know the network; take an interface (pkg/objstore, io.ReaderAt) or a value instead", p.path(), imp)
			}
		}
	}
}

func TestVectorStandsAlone(t *testing.T) {
	for _, p := range packages(t) {
		if !under(p.path(), "pkg/vector") {
			continue
		}
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			own := strings.HasPrefix(imp, prefix+"pkg/vector")
			if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") && !own && !under(imp, "golang.org/x/sys") {
				t.Errorf("%s imports %s: pkg/vector depends on the standard library and golang.org/x/sys only; put the glue into pkg/index", p.path(), imp)
			}
		}
	}
}

func TestLibrariesKnowNoService(t *testing.T) {
	for _, p := range packages(t) {
		if !under(p.path(), "pkg") {
			continue
		}
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if under(strings.TrimPrefix(imp, prefix), "services", "integration") {
				t.Errorf("%s imports %s: libraries know no service; declare a small interface where it is used", p.path(), imp)
			}
		}
	}
}

// serviceOf names the service that a package belongs to, "" for others.
func serviceOf(path string) string {
	rest, ok := strings.CutPrefix(path, "services/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// composes: packages that put services together. services/process is what every process is made of, for mains.
func composes(path string) bool {
	return under(path, "services/standalone", "services/ctl") || strings.Contains(path, "/cmd/")
}

func TestServicesImportNoOtherService(t *testing.T) {
	for _, p := range packages(t) {
		own := serviceOf(p.path())
		if own == "" || composes(p.path()) {
			continue
		}
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			other := serviceOf(strings.TrimPrefix(imp, prefix))
			if strings.HasPrefix(imp, prefix) && other != "" && other != own {
				t.Errorf("%s imports %s: services talk through pb clients only (pkg/rpc finds them); shared code belongs in pkg", p.path(), imp)
			}
		}
	}
}
