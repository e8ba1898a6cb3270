package expr

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Times are kept, and compared, as microseconds since 1970: ISO '...' and INTERVAL '...' are numbers of them.

// moment reads ISO 'time'.
func (p *parser) moment() (*term, error) {
	text, err := p.timeText()
	if err != nil {
		return nil, err
	}
	micros, err := schema.ParseTime(text, p.zone)
	if err != nil {
		return nil, refuse("%s", err)
	}
	return constTerm(plan.IntValue(micros)), nil
}

// interval reads INTERVAL 'duration'.
func (p *parser) interval() (*term, error) {
	text, err := p.timeText()
	if err != nil {
		return nil, err
	}
	micros, err := parseInterval(text)
	if err != nil {
		return nil, err
	}
	return constTerm(plan.IntValue(micros)), nil
}

func (p *parser) timeText() (string, error) {
	word := p.next()
	text := unquote(p.next())
	if !slices.ContainsFunc(p.schema.Fields, func(f schema.Field) bool { return f.Form == schema.Timestamptz }) {
		return "", unsupported(word + " without a Timestamptz field")
	}
	return text, nil
}

// parseInterval reads an ISO 8601 duration of weeks, days, hours, minutes and seconds. How long a month or a year is
// depends on where it begins.
func parseInterval(text string) (int64, error) {
	const second = 1e6
	units := map[string]float64{"W": 7 * 86400 * second, "D": 86400 * second, "TH": 3600 * second, "TM": 60 * second, "TS": second}
	wrong := refuse("invalid INTERVAL string: '%s'", text)
	rest, ok := strings.CutPrefix(text, "P")
	if !ok || rest == "" || strings.HasSuffix(rest, "T") {
		return 0, wrong
	}
	total, clock := 0.0, ""
	for rest != "" {
		if after, found := strings.CutPrefix(rest, "T"); found && clock == "" {
			rest, clock = after, "T"
			continue
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if end <= 0 {
			return 0, wrong
		}
		n, err := strconv.ParseFloat(rest[:end], 64)
		unit := clock + rest[end:end+1]
		if err != nil {
			return 0, wrong
		}
		if unit == "M" || unit == "Y" {
			return 0, unsupported("an INTERVAL of months or years")
		}
		if units[unit] == 0 {
			return 0, wrong
		}
		total += n * units[unit]
		rest = rest[end+1:]
	}
	if total > math.MaxInt64/4 {
		return 0, wrong
	}
	return int64(total), nil
}
