// Package expr parses the filter language of the Milvus v2 API into plans.
//
// It owns the syntax, the checks against a schema, the casts of constants and the texts of their errors; what a plan
// means is package plan's. The whole text is read before anything is checked, so a bad character is reported before an
// unknown field. Input is foreign: its length, nesting and list sizes are bounded, and no input panics.
package expr

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Bounds of a filter. A text of 8 MiB holds a list of some 400,000 int64 keys.
const (
	MaxLength = 8 << 20 // bytes
	MaxDepth  = 200     // levels of nesting
	maxShown  = 4 << 10 // bytes of the filter that an error repeats
)

const (
	queryPrefix  = "failed to create query plan: "
	deletePrefix = "failed to create delete plan: "
)

// Parse turns a filter into a plan for collections of schema s. Blank text selects every row. templates holds the
// values of {name} placeholders. An error is an *errs.Error, caused by the caller's request, with the whole text that a
// search or query answers: code InvalidParameter, or Unimplemented for parts of the language that Gyr does not serve.
func Parse(text string, s *schema.Schema, templates map[string]plan.Value) (*plan.Plan, error) {
	return ParseIn(text, s, templates, time.UTC)
}

// ParseIn is Parse with the zone of times that have no offset.
func ParseIn(text string, s *schema.Schema, templates map[string]plan.Value, zone *time.Location) (*plan.Plan, error) {
	if len(text) > MaxLength {
		return nil, errs.Invalid("%scannot parse expression of %d bytes, at most %d are accepted", queryPrefix, len(text), MaxLength)
	}
	if strings.TrimSpace(text) == "" {
		return plan.True(), nil
	}
	p := &parser{text: text, schema: s, templates: templates, zone: zone}
	root, err := p.parse()
	if err != nil {
		return nil, report(text, err)
	}
	out, err := plan.New(root)
	if err != nil {
		return nil, report(text, err)
	}
	return out, nil
}

// ForDelete rewrites an error of Parse to the text that a delete answers.
func ForDelete(err error) error {
	var e *errs.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Msg, queryPrefix) {
		return err
	}
	return errs.Input(e.Code, "%s", deletePrefix+strings.TrimPrefix(e.Msg, queryPrefix))
}

// refusal says why a filter is refused.
type refusal struct {
	cause string
	bare  bool // the text does not repeat the filter
	later bool // the filter may be right, but this server cannot serve it
}

func (r *refusal) Error() string { return r.cause }

func refuse(format string, args ...any) error { return &refusal{cause: fmt.Sprintf(format, args...)} }

func unsupported(what string) error {
	return &refusal{cause: what + " is not supported by this server", later: true}
}

func report(text string, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{cause: err.Error()}
	}
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	switch {
	case r.later:
		return errs.Input(errs.Unimplemented, "%scannot parse expression: %s, error: %s", queryPrefix, text, r.cause)
	case r.bare:
		return errs.Invalid("%s%s", queryPrefix, r.cause)
	}
	return errs.Invalid("%scannot parse expression: %s, error: %s", queryPrefix, text, r.cause)
}
