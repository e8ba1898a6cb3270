// Command make_asset makes the demo's data from the whole data set. It was run once; its output is committed.
//
//	go run ./integration/demo/make_asset --from FOLDER --to integration/demo/data
//
// It keeps the packages of sections that hold programs rather than libraries, and of the held-out queries those whose nearest
// packages mostly stayed.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gyr-db/gyr/integration/demo/dataset"
)

// left lists the sections that are left out: libraries and their documentation, by language or purpose.
const left = "libs libdevel doc perl haskell rust golang javascript ruby gnu-r ocaml lisp oldlibs debug introspection java metapackages localization otherosfs tasks php"

func main() {
	from := flag.String("from", "", "folder of the whole data set (embeddings.f16.npy, rows.jsonl.zst, ...)")
	to := flag.String("to", "", "folder to write")
	queries := flag.Int("queries", 200, "how many held-out queries to keep")
	flag.Parse()
	if err := run(*from, *to, *queries); err != nil {
		fmt.Fprintln(os.Stderr, "make_asset:", err)
		os.Exit(1)
	}
}

func run(from, to string, queries int) error {
	all, err := dataset.Folder(from)
	if err != nil {
		return err
	}
	kept := keepRows(all)
	keepQueries(all, kept, queries)
	rows, err := dataset.PackLines(kept.Rows)
	if err != nil {
		return err
	}
	texts, err := dataset.PackLines(kept.Queries)
	if err != nil {
		return err
	}
	total := 0
	for name, raw := range map[string][]byte{
		dataset.AssetRows: rows, dataset.AssetVectors: dataset.EncodeCodes(kept.Vectors),
		dataset.AssetQueries: texts, dataset.AssetQueryVectors: dataset.EncodeCodes(kept.QueryVectors),
	} {
		total += len(raw)
		if err := os.WriteFile(filepath.Join(to, name), raw, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%d rows, %d queries, %d bytes\n", len(kept.Rows), len(kept.Queries), total)
	return nil
}

func keepRows(all *dataset.Set) *dataset.Set {
	drop := map[string]bool{}
	for _, s := range strings.Fields(left) {
		drop[s] = true
	}
	kept := &dataset.Set{Vectors: dataset.Vectors{Dim: all.Vectors.Dim}, QueryVectors: dataset.Vectors{Dim: all.Vectors.Dim}}
	for i, r := range all.Rows {
		if !drop[r.Section] {
			kept.Rows = append(kept.Rows, r)
			kept.Vectors.Data = append(kept.Vectors.Data, all.Vectors.At(i)...)
		}
	}
	return kept
}

// keepQueries keeps the first questions and then the first other queries, half and half, of which the nearest row and 7 of
// the nearest 10 were kept.
func keepQueries(all, kept *dataset.Set, limit int) {
	have := map[int64]bool{}
	for _, r := range kept.Rows {
		have[r.ID] = true
	}
	keep := func(question bool, limit int) {
		for q, near := range all.Truth {
			there := 0
			for _, id := range near[:10] {
				if have[id] {
					there++
				}
			}
			if have[near[0]] && there >= 7 && len(kept.Queries) < limit && (all.Queries[q].Kind == "question") == question {
				kept.Queries = append(kept.Queries, all.Queries[q])
				kept.QueryVectors.Data = append(kept.QueryVectors.Data, all.QueryVectors.At(q)...)
			}
		}
	}
	keep(true, limit/2)
	keep(false, limit)
}
