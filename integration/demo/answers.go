package demo

import (
	"context"
	"fmt"
	"slices"

	"github.com/gyr-db/gyr/integration/demo/dataset"
	"github.com/gyr-db/gyr/integration/demo/packages"
)

// ask is a held-out query, by its id in the data set, with a filter or without.
type ask struct {
	query  int64
	filter string
}

// asks are the questions that the demo shows.
func asks() []ask {
	return []ask{
		{844, ""},
		{597, ""},
		{597, "size < 200"},
		{578, `section == "graphics"`},
		{673, `section in ["gnome", "devel"] and size > 1000`},
		{648, `name like "%bible%"`},
	}
}

// answers asks some questions and prints the packages found.
func (r *run) answers(ctx context.Context) error {
	r.out.title("Questions (held out: no row has such an embedding)")
	desc := map[int64]string{}
	for _, row := range r.set.Rows {
		desc[row.ID] = row.Desc
	}
	for _, a := range asks() {
		i := slices.IndexFunc(r.set.Queries, func(q dataset.Query) bool { return q.ID == a.query })
		if i < 0 {
			continue // another data set
		}
		hits, err := r.coll.Search(ctx, packages.Query{
			Vectors: [][]float32{r.set.QueryVectors.At(i)}, K: 5, Ef: max(r.ef, 64),
			Filter: a.filter, Output: []string{"name", "section", "size"}, Strong: true,
		})
		if err != nil {
			return err
		}
		r.out.blank()
		question := fmt.Sprintf("%q", r.set.Queries[i].Text)
		if a.filter != "" {
			question += "   where " + a.filter
		}
		r.out.line("%s", question)
		if len(hits[0]) == 0 {
			r.out.line("    nothing")
		}
		for _, h := range hits[0] {
			r.out.line("    %.3f  %-28s %s  (%s, %s)", h.Score, h.Name, desc[h.ID], h.Section, kibibytes(h.Size))
		}
	}
	return nil
}
