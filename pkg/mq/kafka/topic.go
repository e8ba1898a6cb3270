package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/gyr-db/gyr/pkg/mq"
)

// topic is one topic with the requests that this package makes on it. It has a client of its own, which knows the
// leader of this topic only.
type topic struct {
	name   string
	cfg    Config
	client *kafkago.Client
}

// Errors of topics.
var (
	errOutOfRange = errors.New("offset out of range")
	errEmpty      = errors.New("topic is empty")
)

// raw is a record as the broker has it.
type raw struct {
	offset int64
	key    string
	value  []byte
}

// fetch returns the records from an offset on, at least one if there is one before wait is over. They are dense.
func (t *topic) fetch(ctx context.Context, offset int64, maxBytes int, wait time.Duration) ([]raw, error) {
	res, err := t.client.Fetch(ctx, &kafkago.FetchRequest{
		Topic: t.name, Offset: offset, MinBytes: 1, MaxBytes: int64(min(max(maxBytes, 1), math.MaxInt32)), MaxWait: wait,
	})
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	out, err := collect(res.Records, offset)
	switch {
	case errors.Is(res.Error, kafkago.OffsetOutOfRange):
		return nil, errOutOfRange
	case res.Error != nil:
		return nil, fmt.Errorf("fetch: %w", res.Error)
	case err != nil:
		return nil, fmt.Errorf("fetch at %d: %w", offset, err)
	}
	return out, nil
}

// collect reads all records; a batch may begin below the offset that was asked for.
func collect(records kafkago.RecordReader, next int64) ([]raw, error) {
	var out []raw
	for {
		r, err := records.ReadRecord()
		if err != nil {
			if errors.Is(err, errEOF) {
				err = nil
			}
			return out, err
		}
		key, kerr := bytesOf(r.Key)
		value, verr := bytesOf(r.Value)
		switch {
		case kerr != nil || verr != nil:
			return nil, errors.Join(kerr, verr)
		case r.Offset < next:
			continue
		case r.Offset > next:
			return nil, fmt.Errorf("offset jumps from %d to %d: %w", next, r.Offset, mq.ErrCorrupt)
		}
		out = append(out, raw{offset: r.Offset, key: string(key), value: value})
		next++
	}
}

func bytesOf(b protocol.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer func() { _ = b.Close() }()
	return protocol.ReadAll(b)
}

// produce writes one record and returns its offset.
func (t *topic) produce(ctx context.Context, uuid string, r record) (int64, error) {
	res, err := t.client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: t.name, RequiredAcks: kafkago.RequireAll,
		Records: kafkago.NewRecordReader(kafkago.Record{Key: kafkago.NewBytes([]byte(uuid)), Value: kafkago.NewBytes(r.encode())}),
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return 0, fmt.Errorf("produce: %w", err)
	}
	return res.BaseOffset, nil
}

// bounds returns the offset of the first record and the one behind the last.
func (t *topic) bounds(ctx context.Context) (first, last int64, err error) {
	err = retry(ctx, t.cfg.RequestTimeout, func() error {
		res, err := t.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{
			t.name: {kafkago.FirstOffsetOf(0), kafkago.LastOffsetOf(0)},
		}})
		if err != nil {
			return err
		}
		partitions := res.Topics[t.name]
		if len(partitions) != 1 {
			return errNoRoute
		}
		first, last = partitions[0].FirstOffset, partitions[0].LastOffset
		return partitions[0].Error
	})
	if err != nil {
		return 0, 0, fmt.Errorf("list offsets: %w", err)
	}
	return first, last, nil
}

// first returns the first record, or errEmpty.
func (t *topic) first(ctx context.Context) (raw, error) {
	var out raw
	err := retry(ctx, t.cfg.RequestTimeout, func() error {
		for {
			first, last, err := t.bounds(ctx)
			if err != nil {
				return err
			}
			if first == last {
				return errEmpty
			}
			records, err := t.fetch(ctx, first, 1, time.Second)
			switch {
			case errors.Is(err, errOutOfRange):
				continue // truncated meanwhile
			case err != nil:
				return err
			case len(records) > 0:
				out = records[0]
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	})
	return out, err
}

// deleteRecords removes the records below an offset.
func (t *topic) deleteRecords(ctx context.Context, below int64) error {
	registerDeleteRecords()
	return retry(ctx, t.cfg.RequestTimeout, func() error {
		ctx, cancel := context.WithTimeout(ctx, t.cfg.RequestTimeout)
		defer cancel()
		m, err := t.client.Transport.RoundTrip(ctx, t.client.Addr, &deleteRecordsRequest{
			Topics:    []deleteRecordsTopic{{Name: t.name, Partitions: []deleteRecordsPartition{{Offset: below}}}},
			TimeoutMs: int32(t.cfg.RequestTimeout.Milliseconds() / 2),
		})
		if err != nil {
			return fmt.Errorf("delete records: %w", err)
		}
		res, ok := m.(*deleteRecordsResponse)
		if !ok || len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
			return fmt.Errorf("delete records: unexpected answer %+v", m)
		}
		if code := res.Topics[0].Partitions[0].ErrorCode; code != 0 {
			return fmt.Errorf("delete records below %d: %w", below, kafkago.Error(code))
		}
		return nil
	})
}
