package open

import (
	"context"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
)

func openKafka(context.Context, string, Deps) (mq.Queue, error) {
	return nil, errs.New(errs.Unimplemented, "the queue kafka:// is not implemented yet; use woodpecker://")
}
