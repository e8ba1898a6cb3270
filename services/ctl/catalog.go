package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog/copies"
	"github.com/gyr-db/gyr/pkg/config"
	"github.com/gyr-db/gyr/services/process"
)

// storageTimeout bounds a step that asks object storage or the metadata store.
const storageTimeout = time.Minute

// catalogCommand works on the copies of the catalog, in the place of a role's process: it takes that role's flags.
func catalogCommand(args []string, out io.Writer, settings Settings) (code int, err error) {
	const how = "usage: gyr-ctl catalog copies|rebuild --role ROLE [--copy KEY] [--dry-run] [--config FILE] [flags of that role]"
	if len(args) == 0 || args[0] != "copies" && args[0] != "rebuild" {
		return exitUsage, errors.New(how)
	}
	name, key, dry := "standalone", "", false
	rest := takeFlags(args[1:], map[string]*string{"role": &name, "copy": &key}, map[string]*bool{"dry-run": &dry})
	role, err := settings.role(name)
	if err != nil {
		return exitUsage, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	env, err := process.Attach(ctx, role, rest, settings.environ, out, slog.New(slog.DiscardHandler))
	if errors.Is(err, config.ErrHelp) {
		return exitFine, nil
	}
	if err != nil {
		return exitUsage, err
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	if args[0] == "copies" {
		return listCopies(ctx, env, out)
	}
	r := &rebuild{env: env, out: out, now: time.Now()}
	return r.run(ctx, key, dry)
}

// listCopies shows the copies in object storage, and which of them cannot be read.
func listCopies(ctx context.Context, env *process.Env, out io.Writer) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	keys, err := copies.List(ctx, env.Objects)
	if err != nil {
		return exitUsage, err
	}
	if len(keys) == 0 {
		fmt.Fprintln(out, "Object storage holds no copy of a catalog.")
		return exitProblem, nil
	}
	code := exitFine
	var rows [][]string
	for _, key := range keys {
		c, err := copies.Read(ctx, env.Objects, key)
		if err != nil {
			code = exitProblem
			rows = append(rows, []string{key, "", "", err.Error()})
			continue
		}
		rows = append(rows, []string{key, c.Cluster, fmt.Sprint(len(c.Records)), "good"})
	}
	table(out, "COPY\tCLUSTER\tKEYS\tSTATE", rows)
	return code, nil
}
