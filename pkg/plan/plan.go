// Package plan is the typed form of a filter: parsed once at the proxy (package expr), sent as bytes, evaluated per
// segment over columns.
package plan

import (
	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Source gives a plan the columns of one segment.
type Source interface {
	// Rows is the number of rows.
	Rows() int
	// Column returns a field's values of all rows. A field that the segment's files do not have (added later) comes
	// as nulls or its default.
	Column(field int64) (*schema.Column, error)
}

var _ = bitset.New
