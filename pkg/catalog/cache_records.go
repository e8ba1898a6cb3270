package catalog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/meta"
)

// This file holds the tables whose records need more than a map of their own.

func (t *tables) putLeader(kv meta.KV) error {
	if err := decodeInto(kv, &t.leader); err != nil {
		return err
	}
	t.leaderEpoch = kv.CreateRev
	return nil
}

func (t *tables) putEpoch(rest string, kv meta.KV) error {
	n, err := strconv.Atoi(rest)
	if err != nil {
		return fmt.Errorf("catalog: key %s: %w", kv.Key, err)
	}
	epoch, err := DecodeNumber(kv)
	if err == nil {
		t.epochs[n] = epoch
	}
	return err
}

func (t *tables) removeEpoch(rest string) error {
	n, err := strconv.Atoi(rest)
	if err == nil {
		delete(t.epochs, n)
	}
	return err
}

func (t *tables) putCollection(rest string, kv meta.KV) error {
	id, err := parseID(rest)
	if err != nil {
		return fmt.Errorf("catalog: key %s: %w", kv.Key, err)
	}
	c, err := Decode[Collection](kv)
	if err != nil {
		return err
	}
	if c.ID != id {
		return fmt.Errorf("catalog: %s holds collection %d", kv.Key, c.ID)
	}
	_ = t.removeCollection(rest) // it may have had another name
	t.collections[id] = c
	names := t.byName[c.DB]
	if names == nil {
		names = map[string]map[int64]*Collection{}
		t.byName[c.DB] = names
	}
	set(names, c.Name, id, c)
	return nil
}

func (t *tables) removeCollection(rest string) error {
	id, err := parseID(rest)
	if err != nil {
		return err
	}
	c := t.collections[id]
	if c == nil {
		return nil
	}
	delete(t.collections, id)
	names := t.byName[c.DB]
	unset(names, c.Name, id)
	if len(names) == 0 {
		delete(t.byName, c.DB)
	}
	return nil
}

// live is the collection of that name that is not being dropped; of several, which the coordinator does not make,
// the newest.
func (t *tables) live(db, name string) *Collection {
	var best *Collection
	for _, c := range t.byName[db][name] {
		if c.State != Dropping && (best == nil || c.ID > best.ID) {
			best = c
		}
	}
	return best
}

func (t *tables) putAlias(rest string, kv meta.KV) error {
	db, name, err := parsePair(rest)
	if err != nil {
		return fmt.Errorf("catalog: key %s: %w", kv.Key, err)
	}
	id, err := strconv.ParseInt(string(kv.Value), 10, 64)
	if err != nil {
		return fmt.Errorf("catalog: decode %s: %w", kv.Key, err)
	}
	_ = t.removeAlias(rest) // it may have had another target
	set(t.aliases, db, name, id)
	set(t.aliasesOf, id, Alias{db, name, id}, struct{}{})
	return nil
}

func (t *tables) removeAlias(rest string) error {
	db, name, err := parsePair(rest)
	if err != nil {
		return err
	}
	if id, ok := t.aliases[db][name]; ok {
		unset(t.aliases, db, name)
		unset(t.aliasesOf, id, Alias{db, name, id})
	}
	return nil
}

// Parsers of what follows a key's prefix.

func parseName(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("empty name")
	}
	return s, nil
}

func parseID(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

func parsePair(s string) (a, b string, err error) {
	a, b, ok := strings.Cut(s, "/")
	if !ok || a == "" || b == "" {
		return "", "", fmt.Errorf("%q is not a pair of names", s)
	}
	return a, b, nil
}

func parseNode(s string) (Role, NodeID, error) {
	role, rest, err := parsePair(s)
	if err != nil {
		return "", 0, err
	}
	id, err := parseID(rest)
	return Role(role), id, err
}

func parseShard(s string) (collection int64, shard int, err error) {
	n, err := parseNumbers(s, 2)
	if err != nil {
		return 0, 0, err
	}
	return n[0], int(n[1]), nil
}

func parseView(s string) (collection int64, id viewID, err error) {
	n, err := parseNumbers(s, 3)
	if err != nil {
		return 0, viewID{}, err
	}
	return n[0], viewID{int(n[1]), int(n[2])}, nil
}

// parseNumbers reads want numbers with slashes between them.
func parseNumbers(s string, want int) ([]int64, error) {
	parts := strings.Split(s, "/")
	if len(parts) != want {
		return nil, fmt.Errorf("%q has %d parts, not %d", s, len(parts), want)
	}
	out := make([]int64, want)
	for i, p := range parts {
		n, err := strconv.ParseInt(p, 10, 64)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}
