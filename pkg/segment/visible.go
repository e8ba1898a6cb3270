package segment

import (
	"container/list"
	"sync"
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/bitset"
)

// visibleSet is the set of rows that a read at some timestamp sees. It is shared: nobody changes it.
type visibleSet struct {
	version uint64
	set     bitset.Set
	count   int
}

// visibleCache keeps the set that reads behind every row and delete see.
type visibleCache struct{ latest atomic.Pointer[visibleSet] }

// visible returns the visible rows; nil means all.
func (s *Sealed) visible(readTS, expireBelow uint64) *visibleSet {
	if s.everything(readTS, expireBelow) {
		return nil
	}
	recent := readTS >= s.file.maxTS && expireBelow <= s.file.minTS && readTS >= s.deaths.last.Load()
	// The version is read before the slots: a set may know more than its version says, never less.
	version := s.deaths.version.Load()
	if recent {
		if v := s.view.latest.Load(); v != nil && v.version == version {
			return v
		}
	}
	v := &visibleSet{version: version, set: bitset.New(s.Rows())}
	for i, ts := range s.ts {
		if d := s.deaths.at(i); ts <= readTS && ts >= expireBelow && (d == 0 || d > readTS) {
			v.set.Add(i)
		}
	}
	v.count = v.set.Count()
	if recent {
		s.view.latest.Store(v)
	}
	return v
}

// Visible returns the rows that a read at readTS sees; all says that these are all rows, and then the set is nil. The
// set is shared and must not be changed.
func (s *Sealed) Visible(readTS, expireBelow uint64) (set bitset.Set, all bool) {
	if v := s.visible(readTS, expireBelow); v != nil {
		return v.set, false
	}
	return nil, true
}

// bitmapCache keeps the bitmaps of plans over one segment, the least recently used go first. It also remembers which
// plans were asked for before.
type bitmapCache struct {
	mu    sync.Mutex // guards what follows
	limit int64
	used  int64
	lru   *list.List // of *bitmapEntry, most recent first
	byKey map[string]*list.Element
}

type bitmapEntry struct {
	key string
	set bitset.Set // nil: only seen so far
}

// entryOverhead is charged for every entry beside its set.
const entryOverhead = 256

func (e *bitmapEntry) bytes() int64 { return int64(8*len(e.set)) + entryOverhead }

func newBitmapCache(limit int64) *bitmapCache {
	return &bitmapCache{limit: limit, lru: list.New(), byKey: map[string]*list.Element{}}
}

// get returns a plan's bitmap, which nobody may change, and whether the plan was seen before.
func (c *bitmapCache) get(key string) (set bitset.Set, seen bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		c.insert(&bitmapEntry{key: key})
		return nil, false
	}
	c.lru.MoveToFront(e)
	return e.Value.(*bitmapEntry).set, true
}

func (c *bitmapCache) put(key string, set bitset.Set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil {
		c.remove(e)
	}
	c.insert(&bitmapEntry{key: key, set: set})
}

func (c *bitmapCache) insert(e *bitmapEntry) {
	if e.bytes() > c.limit {
		return
	}
	c.byKey[e.key] = c.lru.PushFront(e)
	for c.used += e.bytes(); c.used > c.limit; {
		c.remove(c.lru.Back())
	}
}

func (c *bitmapCache) remove(e *list.Element) {
	entry := c.lru.Remove(e).(*bitmapEntry)
	delete(c.byKey, entry.key)
	c.used -= entry.bytes()
}

func (c *bitmapCache) bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}
