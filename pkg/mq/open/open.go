// Package open opens the message queue that a URL names. It is the one place that knows all drivers.
//
//	woodpecker:///abs/dir                               a folder of the local disk, one process
//	woodpecker://?storage=s3&bucket=B&prefix=P          the object store, under prefix P
//	kafka://host:port[,host:port]/prefix                topics prefix.NAME; options replicas=N, min_insync=N
//	pulsar://host:port/tenant/namespace                 refused, it is not implemented
package open

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/woodpecker"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// Deps are what drivers may need.
type Deps struct {
	// ObjectStore keeps the logs of woodpecker://?storage=s3.
	ObjectStore objstore.Store
	// Bucket is the name of ObjectStore's bucket; when it is known, a URL that names another is refused.
	Bucket string
	Logger *slog.Logger
}

// Queue opens the queue of a URL. ctx bounds the opening only.
func Queue(ctx context.Context, rawURL string, deps Deps) (mq.Queue, error) {
	scheme, _, ok := strings.Cut(rawURL, "://")
	if !ok {
		return nil, refuse(rawURL, "it is no URL")
	}
	switch scheme {
	case "woodpecker":
		return openWoodpecker(ctx, rawURL, deps)
	case "kafka":
		return openKafka(ctx, rawURL, deps)
	case "pulsar":
		return nil, errs.New(errs.Unimplemented, "the queue pulsar:// is not implemented; use woodpecker:// or kafka://")
	}
	return nil, refuse(rawURL, fmt.Sprintf("the scheme %q is unknown", scheme))
}

// EntryIsObject reports whether each entry of the queue's logs is an object in a bucket, so that reading it costs a
// request.
func EntryIsObject(rawURL string) bool {
	u, err := url.Parse(rawURL)
	return err == nil && u.Scheme == "woodpecker" && u.Query().Get("storage") != ""
}

func refuse(rawURL, why string) error {
	return fmt.Errorf("message queue %q: %s; it must be woodpecker:///abs/dir, woodpecker://?storage=s3&bucket=B&prefix=P or kafka://host:port/prefix", rawURL, why)
}

func openWoodpecker(ctx context.Context, rawURL string, deps Deps) (mq.Queue, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, refuse(rawURL, err.Error())
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, refuse(rawURL, err.Error())
	}
	if u.Host != "" || u.User != nil || u.Fragment != "" {
		return nil, refuse(rawURL, "woodpecker:// has no host")
	}
	switch storage := query.Get("storage"); {
	case u.Path != "" && len(query) == 0:
		q, err := woodpecker.OpenLocal(woodpecker.LocalConfig{Dir: u.Path}, woodpecker.LocalDeps{Logger: deps.Logger})
		if err != nil {
			return nil, err // not q: a nil pointer in an interface is not nil
		}
		return q, nil
	case u.Path != "":
		return nil, refuse(rawURL, "a folder takes no options")
	case storage == "s3":
		return openBucket(ctx, rawURL, query, deps)
	case storage == "":
		return nil, refuse(rawURL, "it names neither a folder nor a storage")
	default:
		return nil, refuse(rawURL, fmt.Sprintf("the storage %q is unknown", storage))
	}
}

func openBucket(ctx context.Context, rawURL string, query url.Values, deps Deps) (mq.Queue, error) {
	for name := range query {
		if name != "storage" && name != "bucket" && name != "prefix" {
			return nil, refuse(rawURL, fmt.Sprintf("the option %q is unknown", name))
		}
	}
	bucket := query.Get("bucket")
	switch {
	case bucket == "":
		return nil, refuse(rawURL, "the bucket is missing")
	case deps.ObjectStore == nil:
		return nil, refuse(rawURL, "there is no object storage to keep the log in")
	case deps.Bucket != "" && deps.Bucket != bucket:
		return nil, refuse(rawURL, fmt.Sprintf("the log must be in the bucket of the object storage, %q", deps.Bucket))
	}
	if err := woodpecker.VerifyConditionalPut(ctx, deps.ObjectStore); err != nil {
		return nil, err
	}
	q, err := woodpecker.NewBucket(woodpecker.BucketConfig{Prefix: query.Get("prefix")}, woodpecker.BucketDeps{Store: deps.ObjectStore, Logger: deps.Logger})
	if err != nil {
		return nil, err
	}
	return q, nil
}
