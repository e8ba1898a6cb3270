package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// resumes bounds how often in a row a body that breaks is asked for again.
const resumes = 3

// ReadAt implements objstore.Store.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (n int, err error) {
	if err := objstore.ValidKey(key); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, fmt.Errorf("s3: read %s: negative offset %d", key, off)
	}
	if len(p) == 0 {
		return 0, nil
	}
	ctx, cancel := s.bound(ctx, int64(len(p)))
	defer cancel()
	for range resumes {
		var got int
		var end bool
		got, end, err = s.readRange(ctx, key, p[n:], off+int64(n))
		n += got
		switch {
		case end && n < len(p):
			return n, io.ErrUnexpectedEOF
		case err == nil:
			return n, nil
		case statusOf(err) != 0 || ctx.Err() != nil:
			return n, wrap("read", key, err)
		}
	}
	return n, wrap("read", key, err)
}

// readRange fills p from off with one request; end says that the object ends where it stopped.
func (s *Store) readRange(ctx context.Context, key string, p []byte, off int64) (n int, end bool, err error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.cfg.Bucket, Key: s.full(key),
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)),
	}, unchecked)
	if statusOf(err) == http.StatusRequestedRangeNotSatisfiable {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer out.Body.Close()
	if err := checkRange(out, off); err != nil {
		return 0, false, err
	}
	want := min(int64(len(p)), aws.ToInt64(out.ContentLength))
	n, err = io.ReadFull(out.Body, p[:want])
	if errors.Is(err, io.EOF) && want > 0 {
		err = io.ErrUnexpectedEOF
	} else if want == 0 {
		err = nil
	}
	return n, err == nil && want < int64(len(p)), err
}

// unchecked is for ranges: a checksum that comes with one is the whole object's.
func unchecked(o *s3.Options) {
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
}

// checkRange sees that the body starts where it was asked for: some servers ignore a range.
func checkRange(out *s3.GetObjectOutput, off int64) error {
	got := aws.ToString(out.ContentRange)
	if off == 0 && got == "" {
		return nil
	}
	if !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", off)) {
		return fmt.Errorf("asked for bytes from %d the server answers with range %q", off, got)
	}
	return nil
}

// Get implements objstore.Store. A stream that breaks goes on with a new request where it stopped.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	if err := objstore.ValidKey(key); err != nil {
		return nil, 0, err
	}
	// The call's own bound is for the answer's head: the body is read by the caller, under the caller's context.
	ctx, cancel := context.WithCancel(ctx)
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: s.full(key)})
	if err != nil {
		cancel()
		return nil, 0, wrap("get", key, err)
	}
	size := aws.ToInt64(out.ContentLength)
	return &stream{store: s, ctx: ctx, cancel: cancel, key: key, body: out.Body, etag: aws.ToString(out.ETag), size: size}, size, nil
}

// stream is the body of an object.
type stream struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	key    string
	body   io.ReadCloser
	etag   string
	at     int64
	size   int64
	broken int // times in a row without progress
}

// Read implements io.Reader.
func (r *stream) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		r.at += int64(n)
		if n > 0 {
			r.broken = 0
		}
		if err == nil || (errors.Is(err, io.EOF) && r.at == r.size) {
			return n, err
		}
		if r.at >= r.size || r.ctx.Err() != nil || r.broken >= resumes {
			return n, wrap("get", r.key, err)
		}
		r.broken++
		if rerr := r.resume(); rerr != nil {
			return n, wrap("get", r.key, errors.Join(err, rerr))
		}
		if n > 0 {
			return n, nil
		}
	}
}

// resume asks for the rest.
func (r *stream) resume() error {
	out, err := r.store.client.GetObject(r.ctx, &s3.GetObjectInput{
		Bucket: &r.store.cfg.Bucket, Key: r.store.full(r.key), Range: aws.String(fmt.Sprintf("bytes=%d-", r.at)),
	}, unchecked)
	if err != nil {
		return err
	}
	if err := checkRange(out, r.at); err != nil {
		return errors.Join(err, out.Body.Close())
	}
	if aws.ToString(out.ETag) != r.etag {
		return errors.Join(errors.New("the object was replaced while it was read"), out.Body.Close())
	}
	old := r.body
	r.body = out.Body
	old.Close() // broken anyhow
	return nil
}

// Close implements io.Closer.
func (r *stream) Close() error {
	r.cancel()
	return r.body.Close()
}

// Stat implements objstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (objstore.Object, error) {
	if err := objstore.ValidKey(key); err != nil {
		return objstore.Object{}, err
	}
	ctx, cancel := s.bound(ctx, 0)
	defer cancel()
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.cfg.Bucket, Key: s.full(key)})
	if err != nil {
		return objstore.Object{}, wrap("stat", key, err)
	}
	return objstore.Object{Key: key, Size: aws.ToInt64(out.ContentLength), ModTime: aws.ToTime(out.LastModified)}, nil
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, fn func(objstore.Object) bool) error {
	in := &s3.ListObjectsV2Input{Bucket: &s.cfg.Bucket, Prefix: s.full(prefix)}
	if after != "" {
		in.StartAfter = s.full(after)
	}
	for {
		out, err := s.listPage(ctx, in)
		if err != nil {
			return wrap("list", prefix, err)
		}
		for _, o := range out.Contents {
			key := strings.TrimPrefix(aws.ToString(o.Key), s.cfg.Prefix)
			if key <= after || strings.HasSuffix(key, "/") {
				continue // a server that lists what was not asked for, or its folders
			}
			if !fn(objstore.Object{Key: key, Size: aws.ToInt64(o.Size), ModTime: aws.ToTime(o.LastModified)}) {
				return nil
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return nil
		}
		if in.ContinuationToken = out.NextContinuationToken; in.ContinuationToken == nil {
			return fmt.Errorf("s3: list %s: a truncated page has no token", prefix)
		}
	}
}

func (s *Store) listPage(ctx context.Context, in *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
	ctx, cancel := s.bound(ctx, 0)
	defer cancel()
	return s.client.ListObjectsV2(ctx, in)
}
