package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/objstore"
)

const (
	// maxParts leaves room below S3's 10,000.
	maxParts = 9000
	// abortTimeout bounds the clean-up after a failed upload.
	abortTimeout = 5 * time.Second
	// deleteBatch is the most keys that one request may delete.
	deleteBatch = 1000
)

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, opt objstore.PutOptions) error {
	if err := objstore.ValidKey(key); err != nil {
		return err
	}
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("s3: put %s: %w", key, err)
	}
	ctx, cancel := s.bound(ctx, size)
	defer cancel()
	if size > s.cfg.PartBytes && !opt.IfAbsent {
		if err := s.putParts(ctx, key, r, start, size); err != nil {
			return wrap("put", key, err)
		}
		return nil
	}
	in := &s3.PutObjectInput{
		Bucket: &s.cfg.Bucket, Key: s.full(key),
		Body: newWindow(r, start, size), ContentLength: &size,
	}
	if opt.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	if _, err := s.client.PutObject(ctx, in); err != nil {
		return wrap("put", key, err)
	}
	return nil
}

// putParts uploads an object in parts; a failed upload is taken back.
func (s *Store) putParts(ctx context.Context, key string, r io.ReadSeeker, start, size int64) error {
	made, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: s.full(key), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		return err
	}
	parts, err := s.sendParts(ctx, key, *made.UploadId, r, start, size)
	if err == nil {
		_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &s.cfg.Bucket, Key: s.full(key), UploadId: made.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
		if codeOf(err) == "NoSuchUpload" {
			err = s.completed(ctx, key, size, err)
		}
	}
	if err == nil {
		return nil
	}
	actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_, aerr := s.client.AbortMultipartUpload(actx, &s3.AbortMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: s.full(key), UploadId: made.UploadId,
	})
	if aerr != nil && codeOf(aerr) != "NoSuchUpload" {
		return errors.Join(err, fmt.Errorf("abort the upload: %w", aerr))
	}
	return err
}

// completed judges a completion that finds no upload: an earlier attempt may have completed it, its answer lost.
func (s *Store) completed(ctx context.Context, key string, size int64, err error) error {
	if o, serr := s.Stat(ctx, key); serr == nil && o.Size == size {
		return nil
	}
	return err
}

// sendParts sends the parts, several at once if r can be read at offsets.
func (s *Store) sendParts(ctx context.Context, key, upload string, r io.ReadSeeker, start, size int64) ([]types.CompletedPart, error) {
	partBytes := max(s.cfg.PartBytes, (size+maxParts-1)/maxParts)
	at, parallel := r.(io.ReaderAt)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(1)
	if parallel {
		group.SetLimit(s.cfg.PartsInFlight)
	}
	parts := make([]types.CompletedPart, (size+partBytes-1)/partBytes)
	for i := range parts {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() (err error) {
			off := int64(i) * partBytes
			n := min(partBytes, size-off)
			body := newWindow(r, start+off, n)
			if parallel {
				body = newWindow(io.NewSectionReader(at, start+off, n), 0, n)
			}
			parts[i], err = s.sendPart(ctx, key, upload, int32(i+1), body)
			return err
		})
	}
	return parts, group.Wait()
}

func (s *Store) sendPart(ctx context.Context, key, upload string, number int32, body *window) (types.CompletedPart, error) {
	// The sum is needed again to complete the upload, and not every server repeats it in its answer.
	sum := crc32.NewIEEE()
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return types.CompletedPart{}, err
	}
	if _, err := io.Copy(sum, body); err != nil {
		return types.CompletedPart{}, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return types.CompletedPart{}, err
	}
	text := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &s.cfg.Bucket, Key: s.full(key), UploadId: &upload, PartNumber: &number,
		Body: body, ContentLength: &body.size, ChecksumCRC32: &text,
	})
	if err != nil {
		return types.CompletedPart{}, fmt.Errorf("part %d: %w", number, err)
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: &text}, nil
}

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := objstore.ValidKey(key); err != nil {
			return err
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), deleteBatch)
		if err := s.deleteSome(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (s *Store) deleteSome(ctx context.Context, keys []string) error {
	ctx, cancel := s.bound(ctx, 0)
	defer cancel()
	if len(keys) == 1 {
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: s.full(keys[0])})
		if err != nil && !errors.Is(kindOf(err), objstore.ErrNotFound) {
			return wrap("delete", keys[0], err)
		}
		return nil
	}
	ids := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		ids[i] = types.ObjectIdentifier{Key: s.full(key)}
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.cfg.Bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return wrap("delete", keys[0], err)
	}
	for _, e := range out.Errors {
		if code := aws.ToString(e.Code); code != "NoSuchKey" && code != "NotFound" {
			return fmt.Errorf("s3: delete %s: %s: %s", aws.ToString(e.Key), code, aws.ToString(e.Message))
		}
	}
	return nil
}

// window is the part of a reader that a request sends; it fails when the reader ends within it.
type window struct {
	r           io.ReadSeeker
	start, size int64
	at          int64
	placed      bool // r stands where at says
}

func newWindow(r io.ReadSeeker, start, size int64) *window {
	return &window{r: r, start: start, size: size}
}

// Read implements io.Reader.
func (w *window) Read(p []byte) (int, error) {
	if w.at >= w.size {
		return 0, io.EOF
	}
	if !w.placed {
		if _, err := w.r.Seek(w.start+w.at, io.SeekStart); err != nil {
			return 0, err
		}
		w.placed = true
	}
	n, err := w.r.Read(p[:min(int64(len(p)), w.size-w.at)])
	w.at += int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if w.at < w.size && n == 0 {
			err = fmt.Errorf("the body ends after %d of %d bytes: %w", w.at, w.size, io.ErrUnexpectedEOF)
		}
	}
	return n, err
}

// Seek implements io.Seeker.
func (w *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.at
	case io.SeekEnd:
		offset += w.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	w.placed = w.placed && offset == w.at
	w.at = offset
	return offset, nil
}
