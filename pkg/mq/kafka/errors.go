package kafka

import (
	"context"
	"errors"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/produce"

	"github.com/gyr-db/gyr/pkg/mq"
)

// errNoRoute: the client does not know the leader of a topic's partition, so nothing was sent.
var errNoRoute = errors.New("leader unknown")

func isTruncated(err error) bool { return errors.Is(err, mq.ErrTruncated) }

func isMissing(err error) bool { return errors.Is(err, kafkago.UnknownTopicOrPartition) }

// notSent says that a request certainly reached no broker.
func notSent(err error) bool {
	var toProduce *produce.Error
	var toFetch *fetch.Error
	var op *net.OpError
	return errors.Is(err, errNoRoute) || errors.Is(err, kafkago.BrokerNotAvailable) ||
		errors.As(err, &toProduce) || errors.As(err, &toFetch) || errors.As(err, &op) && op.Op == "dial"
}

// refusal is what a broker's answer to a produce request means.
type refusal int

const (
	unknown   refusal = iota // the record may be there
	temporary                // the record is not there; it may be sent again
	final                    // the record is not there and never will be
)

// judge says what an error of a produce request means. Only answers that a broker gives before it writes are certain.
func judge(err error) refusal {
	if notSent(err) {
		return temporary
	}
	var code kafkago.Error
	if !errors.As(err, &code) {
		return unknown
	}
	switch code {
	case kafkago.NotLeaderForPartition, kafkago.LeaderNotAvailable, kafkago.NotEnoughReplicas, kafkago.UnknownTopicOrPartition,
		kafkago.FencedLeaderEpoch, kafkago.UnknownLeaderEpoch:
		return temporary
	case kafkago.MessageSizeTooLarge, kafkago.RecordListTooLarge, kafkago.InvalidTopic, kafkago.TopicAuthorizationFailed,
		kafkago.ClusterAuthorizationFailed, kafkago.InvalidRequiredAcks, kafkago.UnsupportedForMessageFormat, kafkago.PolicyViolation:
		return final
	}
	return unknown
}

// passing says that a read or an administrative request may succeed a little later.
func passing(err error) bool {
	var code kafkago.Error
	return notSent(err) || errors.As(err, &code) && code.Temporary() && code != kafkago.UnknownTopicOrPartition
}

// timedOut says that an answer did not come in time; the client takes a context's deadline a little early.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Pauses between tries.
const (
	pauseMin = 20 * time.Millisecond
	pauseMax = 500 * time.Millisecond
)

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retry calls fn until it succeeds, fails for good, or ctx or patience ends; it returns fn's last error.
func retry(ctx context.Context, patience time.Duration, fn func() error) error {
	end := time.Now().Add(patience)
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		err := fn()
		if err == nil || !passing(err) || time.Now().After(end) || sleep(ctx, pause) != nil {
			return err
		}
	}
}
