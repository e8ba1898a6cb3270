package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// named is everything that keeps objects alive. What is read earlier may hand over to what is read later, never the other
// way: an attempt's intent or task goes in the transaction that puts its files into a manifest, and a segment leaves a
// manifest in the one that retires it. So whoever fills it reads intents and tasks, then views, then manifests, then
// retired segments.
type named struct {
	Intents []string // folders or keys of uploads under way
	Tasks   []*catalog.Task
	Views   []*catalog.View
	Shards  []*catalog.Shard
	Retired []*retired
	Copies  []string         // keys of the copies of the catalog that are kept
	Copied  []*catalog.Shard // the manifests in those that are to stay usable
}

// verdict says what is to happen to one object, and why.
type verdict struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	Remove bool   `json:"remove"`
	Why    string `json:"why"`
}

// judge decides about objects that were listed before n was read. Age alone never decides: an object is removed only if
// nothing names it, but a young one is kept even then.
func judge(objects []objstore.Object, n named, cfg GCConfig, now time.Time) []verdict {
	keep := n.keepers(now.Add(-cfg.Grace))
	out := make([]verdict, 0, len(objects))
	for _, o := range objects {
		v := verdict{Key: o.Key, Size: o.Size}
		switch why := keep.find(o.Key); {
		case !underAny(o.Key, cfg.Prefixes):
			v.Why = "it lies outside the folders of garbage collection"
		case why != "":
			v.Why = why
		case now.Sub(o.ModTime) < cfg.Grace:
			v.Why = fmt.Sprintf("nothing names it, but it is younger than %s", cfg.Grace)
		default:
			v.Remove, v.Why = true, "nothing names it"
		}
		out = append(out, v)
	}
	return out
}

func underAny(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// keepers are folders and keys by what names them.
type keepers map[string]string

// find walks up the folders of a key.
func (k keepers) find(key string) string {
	for at := key; at != ""; {
		if why, ok := k[at]; ok {
			return why
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			return ""
		}
		at = at[:i]
	}
	return ""
}

func (k keepers) add(path, why string) {
	if path = strings.TrimSuffix(path, "/"); path != "" && k[path] == "" {
		k[path] = why
	}
}

func (k keepers) segment(s *catalog.Segment, why string) {
	k.add(s.Dir, why)
	for _, x := range s.Indexes {
		k.add(x.Path, why)
	}
}

func (k keepers) manifest(s *catalog.Shard, why string) {
	where := fmt.Sprintf(why, s.Collection, s.Index)
	for i := range s.Segments {
		k.segment(&s.Segments[i], where)
	}
	for _, d := range s.Deltas {
		k.add(d.Path, where)
	}
}

// keepers collects what is named. Segments retired at or after since are kept, and older ones while a view names them.
func (n *named) keepers(since time.Time) keepers {
	k := keepers{}
	for _, s := range n.Shards {
		k.manifest(s, "the manifest of collection %d shard %d names it")
	}
	for _, r := range n.Retired {
		if why := n.holds(r, since); why != "" {
			k.segment(&r.Segment, why)
		}
	}
	for _, t := range n.Tasks {
		k.add(t.Dir, fmt.Sprintf("attempt %d of task %d writes it", t.Attempt, t.ID))
		if t.Built != nil {
			k.segment(t.Built, fmt.Sprintf("task %d waits to commit it", t.ID))
		}
		for i := range t.Sources {
			k.segment(&t.Sources[i], fmt.Sprintf("task %d reads it", t.ID))
		}
		for _, d := range t.Deltas {
			k.add(d.Path, fmt.Sprintf("task %d reads it", t.ID))
		}
	}
	for _, dir := range n.Intents {
		k.add(dir, "an upload under way names it")
	}
	for _, s := range n.Copied {
		k.manifest(s, "a rebuild of the catalog from its newest copies needs it: the manifest of collection %d shard %d named it")
	}
	for _, key := range n.Copies {
		k.add(key, "it is one of the copies of the catalog that are kept")
	}
	return k
}

// holds says why a retired segment's files stay, or "".
func (n *named) holds(r *retired, since time.Time) string {
	for _, v := range n.Views {
		if _, ok := v.Segments[r.Segment.ID]; ok && v.Collection == r.Collection {
			return fmt.Sprintf("segment %d was replaced, but view %d of shard %d names it", r.Segment.ID, v.Number, v.Shard)
		}
	}
	if r.AtMS >= since.UnixMilli() {
		return fmt.Sprintf("segment %d was replaced a short time ago", r.Segment.ID)
	}
	return ""
}
