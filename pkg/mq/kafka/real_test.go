package kafka

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/gyr-db/gyr/pkg/mq"
)

var testID = mq.LogID{Name: "l", UUID: "u"}

func realLog(t *testing.T, partBytes int) (*Queue, *log) {
	t.Helper()
	q := connect(t, Config{Brokers: []string{broker(t)}, Prefix: prefix(), PartBytes: partBytes})
	if err := q.Create(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	l, err := q.Open(t.Context(), testID, 0)
	if err != nil {
		t.Fatal(err)
	}
	return q, l.(*log)
}

func mustAppend(t *testing.T, l mq.Log, data string) mq.Position {
	t.Helper()
	p, err := l.Append(t.Context(), []byte(data), mq.AppendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPing(t *testing.T) {
	q := connect(t, Config{Brokers: []string{broker(t)}, Prefix: "p"})
	if err := q.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	q = connect(t, Config{Brokers: []string{"127.0.0.1:1"}, Prefix: "p", RequestTimeout: time.Second})
	if err := q.Ping(t.Context()); err == nil {
		t.Error("nobody listens, and no error")
	}
}

// TestOpenNeverCreates: opening and reading a log that is not there leaves no topic behind.
func TestOpenNeverCreates(t *testing.T) {
	q := connect(t, Config{Brokers: []string{broker(t)}, Prefix: prefix()})
	for range 2 {
		if _, err := q.Open(t.Context(), testID, 0); !errors.Is(err, mq.ErrUnknownLog) {
			t.Fatalf("open: %v", err)
		}
	}
	top, err := q.topic(testID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := top.describe(t.Context()); !isMissing(err) {
		t.Errorf("the topic: %v", err)
	}
}

func TestUnsafeSettingsAreRefused(t *testing.T) {
	q, l := realLog(t, 0)
	for name, value := range map[string]string{
		"retention.ms": "604800000", "retention.bytes": "1000", "cleanup.policy": "compact",
		"unclean.leader.election.enable": "true", "max.message.bytes": "1000",
	} {
		alter := func(value string) {
			t.Helper()
			res, err := l.client.IncrementalAlterConfigs(t.Context(), &kafkago.IncrementalAlterConfigsRequest{
				Resources: []kafkago.IncrementalAlterConfigsRequestResource{{
					ResourceType: kafkago.ResourceTypeTopic, ResourceName: l.topic.name,
					Configs: []kafkago.IncrementalAlterConfigsRequestConfig{{Name: name, Value: value, ConfigOperation: kafkago.ConfigOperationSet}},
				}},
			})
			if err != nil || res.Resources[0].Error != nil {
				t.Fatal(err, res)
			}
		}
		alter(value)
		var err error
		for range 100 { // the broker takes it up a little later
			if _, err = q.Open(t.Context(), testID, 0); err != nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err == nil || !strings.Contains(err.Error(), name+"="+value) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
		alter(l.settings(1)[name])
	}
	for range 100 {
		if _, err := q.Open(t.Context(), testID, 0); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("cannot be opened with the settings put right")
}

// TestHalfCreated: a topic without a head, left by a Create that was cut short, is no log; Create takes it over.
func TestHalfCreated(t *testing.T) {
	q := connect(t, Config{Brokers: []string{broker(t)}, Prefix: prefix()})
	top, err := q.topic(testID)
	if err != nil {
		t.Fatal(err)
	}
	if err := top.create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Open(t.Context(), testID, 0); !errors.Is(err, mq.ErrUnknownLog) {
		t.Errorf("open: %v", err)
	}
	var wg sync.WaitGroup
	results := make([]error, 3)
	for i := range results {
		wg.Go(func() { results[i] = q.Create(t.Context(), testID) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, mq.ErrExists) {
			t.Error(err)
		}
	}
	if _, err := q.Open(t.Context(), testID, 0); err != nil || won != 1 {
		t.Errorf("%d creates won; open: %v", won, err)
	}
}

// TestForeignRecords: what the writer of a former log of that name sends is skipped.
func TestForeignRecords(t *testing.T) {
	_, l := realLog(t, 0)
	first := mustAppend(t, l, "one")
	for range 3 {
		if _, err := l.produce(t.Context(), "the former uuid", record{kind: kindWhole, data: []byte("zombie")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Truncate(t.Context(), first+1); err != nil {
		t.Fatal(err)
	}
	second := mustAppend(t, l, "two")
	if err := l.Truncate(t.Context(), first+2); err != nil {
		t.Fatal(err)
	}
	again, err := l.queue.Open(t.Context(), testID, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Read(t.Context(), first+1, 1000)
	if errors.Is(err, mq.ErrTruncated) {
		got, err = again.Read(t.Context(), second, 1000)
	}
	if err != nil || len(got) != 1 || string(got[0].Data) != "two" || got[0].Position != second {
		t.Errorf("%v %v", got, err)
	}
}

// TestReplacedTopic: a reader of a log that was deleted and made again is told, and does not wait for ever.
func TestReplacedTopic(t *testing.T) {
	q, l := realLog(t, 0)
	var last mq.Position
	for i := range 20 {
		last = mustAppend(t, l, fmt.Sprint(i))
	}
	if err := q.Delete(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	if err := q.Create(t.Context(), mq.LogID{Name: "l", UUID: "other"}); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Read(t.Context(), last, 100); !errors.Is(err, mq.ErrUnknownLog) {
		t.Errorf("read: %v %v", got, err)
	}
}

// TestTruncateKeepsParts: a mark at an entry of several parts leaves all of them.
func TestTruncateKeepsParts(t *testing.T) {
	_, l := realLog(t, 10)
	mustAppend(t, l, "one")
	text := strings.Repeat("0123456789", 10)
	second := mustAppend(t, l, text)
	mustAppend(t, l, "three")
	if err := l.Truncate(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	got, err := l.Read(t.Context(), second, 1000)
	if err != nil || len(got) != 2 || string(got[0].Data) != text {
		t.Errorf("%v %v", got, err)
	}
	if first, _, err := l.bounds(t.Context()); err != nil || first != int64(second)-9 {
		t.Errorf("the topic begins at %d, the entry ends at %d: %v", first, second, err)
	}
}

func BenchmarkAppend4KiB(b *testing.B) {
	addr := envBroker()
	if addr == "" {
		b.Skip("GYR_TEST_KAFKA is not set")
	}
	q, err := New(Config{Brokers: []string{addr}, Prefix: prefix()}, Deps{})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	if err := q.Create(b.Context(), testID); err != nil {
		b.Fatal(err)
	}
	l, err := q.Open(b.Context(), testID, 0)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 4096)
	for b.Loop() {
		if _, err := l.Append(b.Context(), data, mq.AppendOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
