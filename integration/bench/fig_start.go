package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gyr-db/gyr/integration/demo/measure"
)

// starts is how often the start figure starts a server.
const starts = 5

// measureStart starts servers on empty folders, then looks at one that idles.
func measureStart(ctx context.Context, e *Env) error {
	var took []time.Duration
	for i := range starts {
		dir := filepath.Join(e.dir, fmt.Sprintf("start%d", i))
		s, err := newServer(e.cfg.Binary, dir)
		if err != nil {
			return err
		}
		d, err := s.start(ctx)
		s.kill()
		if err != nil {
			return err
		}
		took = append(took, d)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	stats := measure.Of(took, 0)
	e.addDuration("exec to healthy, median of 5", stats.Quantile(0.5))
	e.addDuration("exec to healthy, slowest", stats.Quantile(1))
	return e.idle(ctx, "")
}
