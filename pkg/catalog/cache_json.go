package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gyr-db/gyr/pkg/meta"
)

// Put makes the operation that writes record under key as JSON. Set Lease on the result for a leased key.
func Put[T any](key string, record T) (meta.Op, error) {
	b, err := json.Marshal(record)
	if err != nil {
		return meta.Op{}, fmt.Errorf("catalog: encode %s: %w", key, err)
	}
	return meta.Op{Key: key, Value: b}, nil
}

// PutNumber makes the operation that writes a decimal number under key (bounds, epochs, alias targets).
func PutNumber(key string, n uint64) meta.Op {
	return meta.Op{Key: key, Value: strconv.AppendUint(nil, n, 10)}
}

// Decode reads the JSON record of kv.
func Decode[T any](kv meta.KV) (*T, error) {
	record := new(T)
	if err := json.Unmarshal(kv.Value, record); err != nil {
		return nil, fmt.Errorf("catalog: decode %s (revision %d): %w", kv.Key, kv.ModRev, err)
	}
	return record, nil
}

// DecodeNumber reads the decimal number of kv.
func DecodeNumber(kv meta.KV) (uint64, error) {
	n, err := strconv.ParseUint(string(kv.Value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("catalog: decode %s (revision %d): %w", kv.Key, kv.ModRev, err)
	}
	return n, nil
}

// Read reads one record from the store, linearizably, with the KV whose ModRev a transaction may compare. A key that
// is not there gives meta.ErrNotFound.
func Read[T any](ctx context.Context, store meta.Store, key string) (*T, meta.KV, error) {
	kv, err := store.Get(ctx, key)
	if err != nil {
		return nil, meta.KV{}, fmt.Errorf("catalog: read %s: %w", key, err)
	}
	record, err := Decode[T](kv)
	return record, kv, err
}

// ReadNumber reads one decimal number from the store, linearizably; zero, and a zero KV, when the key is not there.
func ReadNumber(ctx context.Context, store meta.Store, key string) (uint64, meta.KV, error) {
	kv, err := store.Get(ctx, key)
	if errors.Is(err, meta.ErrNotFound) {
		return 0, meta.KV{}, nil
	}
	if err != nil {
		return 0, meta.KV{}, fmt.Errorf("catalog: read %s: %w", key, err)
	}
	n, err := DecodeNumber(kv)
	return n, kv, err
}

// ReadAll reads every record under prefix, in key order, and the revision of that snapshot.
func ReadAll[T any](ctx context.Context, store meta.Store, prefix string) ([]*T, int64, error) {
	kvs, rev, err := store.List(ctx, prefix)
	if err != nil {
		return nil, 0, fmt.Errorf("catalog: read %s: %w", prefix, err)
	}
	out := make([]*T, 0, len(kvs))
	for _, kv := range kvs {
		record, err := Decode[T](kv)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, record)
	}
	return out, rev, nil
}
