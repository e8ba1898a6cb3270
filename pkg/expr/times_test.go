package expr

import (
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

func TestTimes(t *testing.T) {
	s := &schema.Schema{Fields: []schema.Field{
		{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: 101, Name: "ts", Type: schema.Int64, Form: schema.Timestamptz},
	}}
	east := time.FixedZone("east", 8*3600)
	same := func(a, b string) {
		t.Helper()
		x, err := ParseIn(a, s, nil, east)
		if err != nil {
			t.Fatal(err)
		}
		y, err := ParseIn(b, s, nil, east)
		if err != nil {
			t.Fatal(err)
		}
		if string(x.Encode()) != string(y.Encode()) {
			t.Errorf("%s is not %s", a, b)
		}
	}
	same(`ts > ISO '1970-01-01T00:00:01Z'`, `ts > 1000000`)
	same(`ts == iso "1970-01-01T08:00:00"`, `ts == 0`)
	same(`ts + INTERVAL 'P1DT1H' <= ISO '1970-01-02T00:00:00Z'`, `ts + 90000000000 <= 86400000000`)
	same(`ts - interval 'PT0.5S' != ISO '1970-01-01 00:00:00Z'`, `ts - 500000 != 0`)
	for text, want := range map[string]string{
		`ts > ISO 'soon'`:                            "invalid timestamp string: 'soon'",
		`ts > ISO '1970-01-01T00:00:00+19:00'`:       "UTC offset hour 19 is out of the valid range",
		`ts + INTERVAL '1D' > 5`:                     "invalid INTERVAL string: '1D'",
		`ts + INTERVAL 'P' > 5`:                      "invalid INTERVAL string",
		`ts + INTERVAL 'PT' > 5`:                     "invalid INTERVAL string",
		`ts + INTERVAL 'PTT1S' > 5`:                  "invalid INTERVAL string",
		`ts + INTERVAL 'P1H' > 5`:                    "invalid INTERVAL string",
		`ts + INTERVAL 'P99999999999999999999D' > 5`: "invalid INTERVAL string",
		`ts + INTERVAL 'P1M' > 5`:                    "an INTERVAL of months or years is not supported",
	} {
		if _, err := ParseIn(text, s, nil, east); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	s.Fields = s.Fields[:1]
	if _, err := Parse(`id > ISO '1970-01-01T00:00:01Z'`, s, nil); errs.CodeOf(err) != errs.Unimplemented {
		t.Error(err)
	}
}
