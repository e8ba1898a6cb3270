package proxy

import (
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/pkg/catalog"
)

func TestDemands(t *testing.T) {
	const (
		strong, session, bound, eventually, custom = commonpb.ConsistencyLevel_Strong, commonpb.ConsistencyLevel_Session,
			commonpb.ConsistencyLevel_Bounded, commonpb.ConsistencyLevel_Eventually, commonpb.ConsistencyLevel_Customized
		ts = 470_000_000_000_000_000
	)
	for _, tc := range []struct {
		name       string
		collection commonpb.ConsistencyLevel
		wish       wish
		want       demand
	}{
		{"strong", bound, wish{level: strong}, demand{kind: newest}},
		{"session", bound, wish{level: session, guarantee: ts}, demand{kind: atLeast, ts: ts}},
		{"session before any write", bound, wish{level: session, guarantee: 1}, demand{kind: atLeast, ts: 1}},
		{"bounded", strong, wish{level: bound, guarantee: 2}, demand{kind: bounded}},
		{"eventually", strong, wish{level: eventually, guarantee: 1}, demand{kind: anyAge}},
		{"customized", strong, wish{level: custom, guarantee: ts}, demand{kind: atLeast, ts: ts}},
		{"default strong replaces the timestamp", strong, wish{useDefault: true, level: bound, guarantee: ts}, demand{kind: newest}},
		{"default bounded", bound, wish{useDefault: true, guarantee: ts}, demand{kind: bounded}},
		{"default session keeps it", session, wish{useDefault: true, guarantee: ts}, demand{kind: atLeast, ts: ts}},
		{"old client, bounded", strong, wish{level: strong, guarantee: 2}, demand{kind: bounded}},
		{"old client, eventually", strong, wish{level: strong, guarantee: 1}, demand{kind: atLeast, ts: 1}},
		{"old client, a timestamp", strong, wish{level: strong, guarantee: ts}, demand{kind: atLeast, ts: ts}},
		{"iterator, first page", bound, wish{level: bound, guarantee: 2, iterator: true}, demand{kind: bounded}},
		{"iterator, next page", bound, wish{level: bound, guarantee: ts, iterator: true}, demand{kind: pinned, ts: ts}},
	} {
		c := &catalog.Collection{Consistency: int32(tc.collection)}
		if got := demandOf(c, tc.wish); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}
