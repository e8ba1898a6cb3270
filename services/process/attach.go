package process

import (
	"context"
	"io"
	"log/slog"
)

// Attach opens what a role's process would work with, metadata store, object storage and queue, for a tool that runs in its
// place: no port is opened and no service is made. The caller closes the Env.
func Attach(ctx context.Context, role Role, args, environ []string, out io.Writer, log *slog.Logger) (_ *Env, err error) {
	env := &Env{Logger: log}
	if _, err := role.load(&env.Settings, args, environ, out); err != nil {
		return nil, err
	}
	open := role.Open
	if open == nil {
		open = openCluster
	}
	if err := open(ctx, env); err != nil {
		_ = env.Close() // the first error counts
		return nil, err
	}
	return env, nil
}
