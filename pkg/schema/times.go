package schema

import (
	"fmt"
	"time"
)

// absoluteLayouts have an offset, localLayouts have none. Fractions of a second may follow in each.
var (
	absoluteLayouts = [...]string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07"}
	localLayouts    = [...]string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"}
)

// ParseTime reads a time of a Timestamptz as microseconds since 1970 in UTC. zone is that of times without an offset.
func ParseTime(text string, zone *time.Location) (int64, error) {
	const hour, least, most = 3600, -12, 14
	for _, layout := range absoluteLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if _, offset := t.Zone(); offset < least*hour || offset > most*hour {
			return 0, fmt.Errorf("invalid timestamp string: '%s'. UTC offset hour %d is out of the valid range [%d, %d]", text, offset/hour, least, most)
		}
		return t.UnixMicro(), nil
	}
	for _, layout := range localLayouts {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.UnixMicro(), nil
		}
	}
	return 0, fmt.Errorf("invalid timestamp string: '%s'. Does not match any known format", text)
}

// ShowTime writes microseconds since 1970 as a time in a zone.
func ShowTime(micros int64, zone *time.Location) string {
	return time.UnixMicro(micros).In(zone).Format(time.RFC3339Nano)
}
