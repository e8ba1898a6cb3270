package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/gyr-db/gyr/pkg/mq"
)

func TestParseURL(t *testing.T) {
	c, err := ParseURL("kafka://a:9092,b:9093/gyr.prod?replicas=3&min_insync=2")
	if err != nil || fmt.Sprint(c.Brokers) != "[a:9092 b:9093]" || c.Prefix != "gyr.prod" || c.Replicas != 3 || c.MinInSync != 2 {
		t.Errorf("%+v %v", c, err)
	}
	for url, want := range map[string]string{
		"kafka:///p": "no brokers", "kafka://h/p": "host:port", "kafka://h:x/p": "host:port", "kafka://h:1": "prefix",
		"kafka://h:1/a/b": "prefix", "kafka://h:1/p?x=1": "unknown", "kafka://h:1/p?replicas=0": "no number above 0",
		"kafka://h:1/p?replicas=1&min_insync=2": "not to be had", "http://h:1/p": "is not kafka://",
	} {
		if _, err := ParseURL(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
}

func TestJudge(t *testing.T) {
	for err, want := range map[error]refusal{
		errors.New("connection reset"): unknown, io.ErrUnexpectedEOF: unknown,
		kafkago.RequestTimedOut: unknown, kafkago.NotEnoughReplicasAfterAppend: unknown, kafkago.KafkaStorageError: unknown,
		&net.OpError{Op: "read"}: unknown, &net.OpError{Op: "dial"}: temporary,
		kafkago.NotEnoughReplicas: temporary, kafkago.NotLeaderForPartition: temporary,
		kafkago.MessageSizeTooLarge: final, kafkago.TopicAuthorizationFailed: final,
	} {
		if got := judge(fmt.Errorf("produce: %w", err)); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

// topicOf is a topic in memory.
type topicOf struct {
	records []stored
	begins  int64
}

func (l *topicOf) add(records ...record) {
	for _, r := range records {
		l.records = append(l.records, stored{int64(len(l.records)), r})
	}
}

// interleave adds the parts of several entries in a random order that keeps each entry's own, as writers do.
func (l *topicOf) interleave(r *rand.Rand, entries ...[]record) {
	first := make([]int64, len(entries))
	next := make([]int, len(entries))
	for left := len(entries); left > 0; {
		i := r.IntN(len(entries))
		if next[i] == len(entries[i]) {
			continue
		}
		rec := entries[i][next[i]]
		if next[i] == 0 {
			first[i] = int64(len(l.records))
		} else {
			rec.part.first = first[i]
		}
		l.add(rec)
		if next[i]++; next[i] == len(entries[i]) {
			left--
		}
	}
}

func (l *topicOf) read(from int64) ([]mq.Entry, error) {
	a := assembler{from: from, maxSize: 1 << 20, lookBack: func(from, to int64) ([]stored, error) {
		if from < l.begins {
			return nil, mq.ErrTruncated
		}
		return l.records[from:to], nil
	}}
	var out []mq.Entry
	for _, s := range l.records[from:] {
		entry, ok, err := a.add(s)
		if err != nil {
			return out, err
		}
		if ok {
			out = append(out, entry)
		}
	}
	return out, nil
}

func entry(r *rand.Rand, text string) []record {
	var id attemptID
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	return split([]byte(text), 3, 0, id)
}

func show(entries []mq.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%d:%s ", e.Position, e.Data)
	}
	return b.String()
}

// TestInterleavedParts: whatever the order of several writers' parts, reads from every offset agree.
func TestInterleavedParts(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		l := &topicOf{}
		l.add(record{kind: kindHead})
		given := entry(r, "given up, and never whole")
		l.interleave(r, entry(r, "first of all"), entry(r, "ab"), given[:len(given)-1], entry(r, "second one"), entry(r, "x"))
		all, err := l.read(0)
		if err != nil || len(all) != 4 {
			t.Fatalf("seed %d: %s %v", seed, show(all), err)
		}
		for from := range l.records {
			want := all
			for len(want) > 0 && want[0].Position < mq.Position(from) {
				want = want[1:]
			}
			if got, err := l.read(int64(from)); err != nil || show(got) != show(want) {
				t.Fatalf("seed %d, from %d: %s, want %s (%v)", seed, from, show(got), show(want), err)
			}
		}
	}
}

func TestTruncatedParts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	l := &topicOf{}
	zombie := entry(r, "zombie's")
	l.add(zombie[:1]...)
	l.begins = 1
	l.add(record{kind: kindWhole, data: []byte("mark")})
	l.add(zombie[1:]...)
	l.add(record{kind: kindWhole, data: []byte("on")})
	if got, err := l.read(1); err != nil || show(got) != "1:mark 4:on " {
		t.Errorf("%s %v", show(got), err)
	}
}

func TestPartsTwice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	l := &topicOf{}
	parts := entry(r, "parts")
	l.add(parts[0], parts[0], parts[1], parts[1], parts[0])
	if got, err := l.read(0); err != nil || show(got) != "2:parts " {
		t.Errorf("%s %v", show(got), err)
	}
}

func TestWrongSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	l := &topicOf{}
	parts := entry(r, "parts")
	parts[1].data = parts[1].data[:1]
	l.add(parts...)
	if _, err := l.read(0); !errors.Is(err, mq.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(record{kind: kindHead}.encode())
	f.Add(record{kind: kindWhole, flags: flagPinned, data: []byte("data")}.encode())
	f.Add(record{kind: kindPart, part: part{index: 1, count: 2, size: 9, first: 4}, data: []byte("data")}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			return
		}
		again := r.encode()
		again[3] = b[3] // reserved
		if !bytes.Equal(again, b) {
			t.Errorf("%+v encodes to other bytes", r)
		}
		l := &topicOf{}
		l.add(r, r)
		_, _ = l.read(0)
	})
}
