package proxy

import (
	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/pkg/catalog"
)

// Guarantee timestamps that old clients send for a consistency level. No real timestamp is so small.
const (
	guaranteeBounded  = 2
	largestMagicValue = 2
)

// wish is what a read request says about consistency.
type wish struct {
	level      commonpb.ConsistencyLevel
	useDefault bool
	guarantee  uint64
	iterator   bool
}

// demandOf translates a request's wish into what its snapshot must show.
func demandOf(c *catalog.Collection, w wish) demand {
	if w.iterator && w.guarantee > largestMagicValue {
		return demand{kind: pinned, ts: w.guarantee}
	}
	level := w.level
	switch {
	case w.useDefault:
		level = commonpb.ConsistencyLevel(c.Consistency)
	case level == commonpb.ConsistencyLevel_Strong && w.guarantee > 0:
		// Clients from before the levels leave the level at its zero value and say all by the timestamp.
		level = commonpb.ConsistencyLevel_Customized
		if w.guarantee == guaranteeBounded {
			level = commonpb.ConsistencyLevel_Bounded
		}
	}
	switch level {
	case commonpb.ConsistencyLevel_Strong:
		return demand{kind: newest}
	case commonpb.ConsistencyLevel_Bounded:
		return demand{kind: bounded}
	case commonpb.ConsistencyLevel_Eventually:
		return demand{kind: anyAge}
	}
	return demand{kind: atLeast, ts: w.guarantee}
}
