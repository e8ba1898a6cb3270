// Command kernelgen writes the assembly of pkg/vector/kernel into the folder that it is given.
//
// The kernels are regular: the same loop over four rows for several kinds of components, operations and widths of
// registers. Here that regularity is Go code; what it prints is ordinary Plan 9 assembly that can be read and stepped through.
package main

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: kernelgen FOLDER")
	}
	for name, text := range files() {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// files returns the generated files by name.
func files() map[string]string {
	parts := map[string]func(*asm){"raw": raws, "codes": codes, "bits": bitKernels, "scan": scans, "tile": tiles}
	out := map[string]string{}
	var decls []string
	for _, name := range []string{"raw", "codes", "bits", "scan", "tile"} {
		a := &asm{}
		parts[name](a)
		out[name+"_amd64.s"] = a.file()
		decls = append(decls, a.funcs...)
	}
	out["stubs_amd64.go"] = stubs(decls)
	maps.Copy(out, armFiles())
	return out
}

func stubs(names []string) string {
	text := generated + "//go:build amd64 && !purego\n\npackage kernel\n"
	for _, name := range names {
		text += fmt.Sprintf("\n//go:noescape\nfunc %s(a *args)\n", name)
	}
	return text
}
