package open

import (
	"context"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/kafka"
)

// openKafka makes the queue, and asks the brokers once, so that a wrong address shows at the start.
func openKafka(ctx context.Context, rawURL string, deps Deps) (mq.Queue, error) {
	cfg, err := kafka.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	q, err := kafka.New(cfg, kafka.Deps{Logger: deps.Logger})
	if err != nil {
		return nil, err
	}
	if err := q.Ping(ctx); err != nil {
		_ = q.Close()
		return nil, err
	}
	return q, nil
}
