package kafka

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/gyr-db/gyr/pkg/mq"
)

// Queue is the queue in a Kafka cluster.
type Queue struct {
	cfg    Config
	logger *slog.Logger
	ctx    context.Context // ends at Close
	cancel context.CancelFunc

	mu     sync.Mutex // guards topics
	topics map[string]*topic
}

var _ mq.Queue = (*Queue)(nil)

// New makes the queue. It asks nothing of the brokers yet.
func New(cfg Config, deps Deps) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	q := &Queue{cfg: cfg.withDefaults(), logger: deps.Logger, topics: map[string]*topic{}}
	if q.logger == nil {
		q.logger = slog.New(slog.DiscardHandler)
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q, nil
}

// Ping checks that a broker answers.
func (q *Queue) Ping(ctx context.Context) error {
	client := &kafkago.Client{Addr: kafkago.TCP(q.cfg.Brokers...), Timeout: q.cfg.RequestTimeout, Transport: q.transport(nil)}
	if _, err := client.ApiVersions(ctx, &kafkago.ApiVersionsRequest{}); err != nil {
		return fmt.Errorf("kafka: ask the brokers %v: %w", q.cfg.Brokers, err)
	}
	return nil
}

func (q *Queue) transport(topics []string) *kafkago.Transport {
	return &kafkago.Transport{ClientID: "gyr", MetadataTTL: q.cfg.MetadataTTL, MetadataTopics: topics, Context: q.ctx, IdleTimeout: time.Minute}
}

// topic returns the topic of a log.
func (q *Queue) topic(id mq.LogID) (*topic, error) {
	name := q.cfg.Prefix + "." + id.Name
	if !legal.MatchString(id.Name) || len(name) > maxTopic || id.UUID == "" || len(id.UUID) > 128 {
		return nil, fmt.Errorf("uuid %q, topic %q: a topic has up to %d letters, digits, dots, hyphens and underscores, a uuid 1 to 128 bytes", id.UUID, name, maxTopic)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.topics[name]; t != nil {
		return t, nil
	}
	t := &topic{name: name, cfg: q.cfg, client: &kafkago.Client{
		Addr: kafkago.TCP(q.cfg.Brokers...), Timeout: q.cfg.RequestTimeout, Transport: q.transport([]string{name}),
	}}
	q.topics[name] = t
	return t, nil
}

// do runs a call on the topic of a log; its context ends with the queue too.
func (q *Queue) do(ctx context.Context, op string, id mq.LogID, fn func(context.Context, *topic) error) error {
	run := func() error {
		if q.ctx.Err() != nil {
			return mq.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := q.topic(id)
		if err != nil {
			return err
		}
		ctx, cancel := both(ctx, q.ctx)
		defer cancel()
		if err = fn(ctx, t); err != nil && q.ctx.Err() != nil {
			err = mq.ErrClosed
		}
		return err
	}
	if err := run(); err != nil {
		return fmt.Errorf("kafka: %s log %s: %w", op, id.Name, err)
	}
	return nil
}

// both returns a context that ends with either.
func both(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() { stop(); cancel() }
}

// Create implements mq.Queue. A topic that is there but empty, because a Create was cut short, is taken over: of two that
// do so at once, the one has the log whose head is the topic's first record.
func (q *Queue) Create(ctx context.Context, id mq.LogID) error {
	return q.do(ctx, "create", id, func(ctx context.Context, t *topic) error {
		if err := t.create(ctx); err != nil {
			return err
		}
		if err := t.verify(ctx, patienceCreate); err != nil {
			return err
		}
		err := whileMissing(ctx, patienceCreate, func() error {
			_, err := t.first(ctx)
			return err
		})
		if err == nil {
			return mq.ErrExists
		}
		if !errors.Is(err, errEmpty) {
			return err
		}
		head := record{kind: kindHead}
		_, _ = rand.Read(head.id[:]) // never fails
		if _, err := t.produce(ctx, id.UUID, head); err != nil && judge(err) != unknown {
			return err
		}
		first, err := t.first(ctx)
		if err != nil {
			return err
		}
		if got, err := decode(first.value); err != nil || first.key != id.UUID || got.kind != kindHead || got.id != head.id {
			return mq.ErrExists
		}
		return nil
	})
}

// Open implements mq.Queue. The hint is not needed.
func (q *Queue) Open(ctx context.Context, id mq.LogID, _ mq.Position) (mq.Log, error) {
	var l *log
	err := q.do(ctx, "open", id, func(ctx context.Context, t *topic) error {
		err := t.verify(ctx, patienceOpen)
		if isMissing(err) {
			return fmt.Errorf("%w: %w", mq.ErrUnknownLog, err)
		}
		if err != nil {
			return err
		}
		if err := t.identify(ctx, id.UUID); err != nil {
			return err
		}
		l = newLog(q, t, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// identify checks that the topic is the log of a uuid.
func (t *topic) identify(ctx context.Context, uuid string) error {
	first, err := t.first(ctx)
	switch {
	case errors.Is(err, errEmpty):
		return fmt.Errorf("topic %s is empty, not even its head is there: %w", t.name, mq.ErrUnknownLog)
	case isMissing(err):
		return fmt.Errorf("%w: %w", mq.ErrUnknownLog, err)
	case err != nil:
		return err
	case first.key != uuid:
		return fmt.Errorf("topic %s has uuid %q, not %q: %w", t.name, first.key, uuid, mq.ErrUnknownLog)
	}
	return nil
}

// Delete implements mq.Queue. An empty topic, left by a Create that was cut short, goes too.
func (q *Queue) Delete(ctx context.Context, id mq.LogID) error {
	return q.do(ctx, "delete", id, func(ctx context.Context, t *topic) error {
		if _, err := t.describe(ctx); err != nil {
			if isMissing(err) {
				return nil
			}
			return err
		}
		first, err := t.first(ctx)
		switch {
		case isMissing(err):
			return nil
		case errors.Is(err, errEmpty):
		case err != nil:
			return err
		case first.key != id.UUID:
			return nil
		}
		return t.remove(ctx)
	})
}

// Close ends all logs and connections of this client.
func (q *Queue) Close() error {
	q.cancel()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.topics {
		if transport, ok := t.client.Transport.(*kafkago.Transport); ok {
			transport.CloseIdleConnections()
		}
	}
	return nil
}
