// Package s3 keeps objects in an S3 bucket under a key prefix.
//
// Attempts are bounded in number and time. A conditional Put whose answer is lost and that is sent again finds its own
// object and reports objstore.ErrExists: the caller compares the bytes. Objects above 16 MiB go in parts, except
// under IfAbsent, where the condition must hold for one request.
package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// Config says where the bucket is.
type Config struct {
	Bucket string
	// Prefix goes before every key, with a slash between.
	Prefix string
	// Endpoint is a URL; empty is AWS. Region is us-east-1 if empty.
	Endpoint, Region string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// AccessKey and SecretKey; both empty: the default chain (environment, files, instance role).
	AccessKey, SecretKey string
	// Create makes the bucket if it is not there.
	Create bool
	// TLS is for https endpoints with certificates of their own; nil is the default.
	TLS *tls.Config
	// Attempts bounds the tries of one request (default 5).
	Attempts int
	// Timeout bounds a call without a deadline, and more by a second per MiB of its body (default 30 s).
	Timeout time.Duration
	// PartBytes is the size of parts and from which an object goes in parts (default 16 MiB, least 5 MiB).
	PartBytes int64
	// PartsInFlight bounds the parts of one Put that are sent at once (default 3).
	PartsInFlight int
}

// Validate says what is wrong, and fills in defaults.
func (c *Config) Validate() error {
	if c.Bucket == "" {
		return errors.New("s3: no bucket")
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	if c.Prefix != "" {
		if err := objstore.ValidKey(c.Prefix); err != nil {
			return fmt.Errorf("s3: prefix: %w", err)
		}
		if len(c.Prefix) > 100 {
			return fmt.Errorf("s3: prefix of %d bytes is longer than 100", len(c.Prefix))
		}
		c.Prefix += "/"
	}
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
			return fmt.Errorf("s3: endpoint %q is not http://host:port or https://host:port", c.Endpoint)
		}
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return errors.New("s3: of access key and secret key one is missing")
	}
	const leastPart = 5 << 20 // S3's own
	if c.Attempts < 0 || c.Timeout < 0 || c.PartsInFlight < 0 || c.PartBytes < 0 || (c.PartBytes > 0 && c.PartBytes < leastPart) {
		return errors.New("s3: attempts, timeout or parts are too small")
	}
	c.defaults()
	return nil
}

func (c *Config) defaults() {
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Attempts == 0 {
		c.Attempts = 5
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.PartBytes == 0 {
		c.PartBytes = 16 << 20
	}
	if c.PartsInFlight == 0 {
		c.PartsInFlight = 3
	}
}

// Store is a bucket with a prefix.
type Store struct {
	cfg    Config
	client *s3.Client
}

var _ objstore.Store = (*Store)(nil)

// Open connects and sees that the bucket is there.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	options := []func(*config.LoadOptions) error{config.WithRegion(cfg.Region)}
	if cfg.AccessKey != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, "")))
	}
	base, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("s3: load credentials: %w", err)
	}
	s := &Store{cfg: cfg, client: s3.NewFromConfig(base, func(o *s3.Options) {
		o.UsePathStyle = cfg.PathStyle
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		o.HTTPClient = httpClient(cfg.TLS)
		o.Retryer = retryer(cfg.Attempts)
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
		o.DisableLogOutputChecksumValidationSkipped = true // ranges have none
	})}
	if err := s.bucket(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func httpClient(trust *tls.Config) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 128
		t.ResponseHeaderTimeout = 20 * time.Second
		if trust != nil {
			t.TLSClientConfig = trust.Clone()
		}
	})
}

// retryer tries again what the SDK holds to be transient, and a write that collided with another.
func retryer(attempts int) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.MaxBackoff = 2 * time.Second
		o.RateLimiter = ratelimit.None // its budget is one for the whole client: a burst of failures would end retries
		o.Retryables = append([]retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: map[string]struct{}{
			"ConditionalRequestConflict": {}, "OperationAborted": {},
			// A gateway over a file system while another removes the key's folder; the true case fails in the end.
			"ExistingObjectIsDirectory": {},
		}}}, o.Retryables...)
	})
}

// bucket sees that the bucket is there, or makes it.
func (s *Store) bucket(ctx context.Context) error {
	cctx, cancel := s.bound(ctx, 0)
	defer cancel()
	_, err := s.client.HeadBucket(cctx, &s3.HeadBucketInput{Bucket: &s.cfg.Bucket})
	if err == nil {
		return nil
	}
	if statusOf(err) != http.StatusNotFound {
		return fmt.Errorf("s3: look for bucket %s: %w", s.cfg.Bucket, err)
	}
	if !s.cfg.Create {
		return fmt.Errorf("s3: bucket %s does not exist (create=true makes it): %w", s.cfg.Bucket, err)
	}
	in := &s3.CreateBucketInput{Bucket: &s.cfg.Bucket}
	if s.cfg.Endpoint == "" && s.cfg.Region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(s.cfg.Region)}
	}
	_, err = s.client.CreateBucket(cctx, in)
	if code := codeOf(err); err != nil && code != "BucketAlreadyOwnedByYou" && code != "BucketAlreadyExists" {
		return fmt.Errorf("s3: make bucket %s: %w", s.cfg.Bucket, err)
	}
	return nil
}

// bound gives a call a deadline if it has none; bytes is the size of its body.
func (s *Store) bound(ctx context.Context, bytes int64) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.cfg.Timeout+time.Duration(bytes>>20)*time.Second)
}

func (s *Store) full(key string) *string { return aws.String(s.cfg.Prefix + key) }
