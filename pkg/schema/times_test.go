package schema

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	east := time.FixedZone("east", 8*3600)
	for text, want := range map[string]string{
		"2025-01-02T03:04:05Z":             "2025-01-02T03:04:05Z",
		"2025-01-02T03:04:05.123456+08:00": "2025-01-01T19:04:05.123456Z",
		"2025-01-02 03:04:05-07:00":        "2025-01-02T10:04:05Z",
		"2025-01-02 03:04:05+08":           "2025-01-01T19:04:05Z",
		"2025-01-02 03:04:05Z":             "2025-01-02T03:04:05Z",
		"2025-01-02T03:04:05.5":            "2025-01-01T19:04:05.5Z",
		"2025-01-02 03:04:05":              "2025-01-01T19:04:05Z",
		"1969-12-31T23:59:59Z":             "1969-12-31T23:59:59Z",
		"yesterday":                        "",
		"2025-13-02T03:04:05Z":             "",
		"2025-01-02T03:04:05+19:00":        "",
	} {
		micros, err := ParseTime(text, east)
		if (err != nil) != (want == "") || err == nil && ShowTime(micros, time.UTC) != want {
			t.Errorf("%s: %s, %v", text, ShowTime(micros, time.UTC), err)
		}
	}
}
