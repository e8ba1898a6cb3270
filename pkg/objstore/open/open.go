// Package open opens an object store by URL. It is the one place that knows all drivers.
//
//	file:///abs/dir
//	s3://bucket/prefix?endpoint=http://host:port&region=us-east-1&path_style=true&create=true
//
// Keys of S3 come from GYR_STORAGE_ACCESS_KEY and GYR_STORAGE_SECRET_KEY, else from the default chain of the AWS SDK
// (AWS_ACCESS_KEY_ID and so on); a URL never holds secrets.
package open

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/file"
	"github.com/gyr-db/gyr/pkg/objstore/s3"
)

// probeTimeout bounds the look at a store when it is opened.
const probeTimeout = 30 * time.Second

// ErrUnconditional: the store ignores conditional writes, on which the safety of Gyr's data rests.
var ErrUnconditional = errors.New("the object storage ignores conditional writes (If-None-Match): Gyr cannot keep data in it safely")

// Store opens the store that a URL names, and probes an S3 store's conditional writes.
func Store(ctx context.Context, rawURL string) (objstore.Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	if u.User != nil {
		return nil, errors.New("open storage: the URL holds a user or password; keys go into GYR_STORAGE_ACCESS_KEY and GYR_STORAGE_SECRET_KEY")
	}
	switch u.Scheme {
	case "file":
		return openFile(u)
	case "s3":
		return openS3(ctx, u)
	}
	return nil, fmt.Errorf("open storage %q: it must be file:///abs/dir or s3://bucket/prefix with options", rawURL)
}

func openFile(u *url.URL) (objstore.Store, error) {
	if u.Host != "" || !path.IsAbs(u.Path) || u.RawQuery != "" {
		return nil, fmt.Errorf("open storage %q: it must be file:///abs/dir, without options", u)
	}
	s, err := file.Open(u.Path)
	if err != nil {
		return nil, fmt.Errorf("open storage %s: %w", u, err)
	}
	return s, nil
}

func openS3(ctx context.Context, u *url.URL) (objstore.Store, error) {
	cfg, err := s3Config(u)
	if err != nil {
		return nil, fmt.Errorf("open storage %s: %w", u, err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s, err := s3.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open storage %s: %w", u, err)
	}
	if err := Probe(ctx, s); err != nil {
		return nil, fmt.Errorf("open storage %s: %w", u, err)
	}
	return s, nil
}

func s3Config(u *url.URL) (s3.Config, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return s3.Config{}, err
	}
	cfg := s3.Config{
		Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), PathStyle: query.Has("endpoint"),
		AccessKey: os.Getenv("GYR_STORAGE_ACCESS_KEY"), SecretKey: os.Getenv("GYR_STORAGE_SECRET_KEY"),
	}
	for name, values := range query {
		value := values[len(values)-1]
		switch name {
		case "endpoint":
			cfg.Endpoint = value
		case "region":
			cfg.Region = value
		case "path_style":
			cfg.PathStyle, err = strconv.ParseBool(value)
		case "create":
			cfg.Create, err = strconv.ParseBool(value)
		case "ca_file":
			cfg.TLS, err = trust(value)
		default:
			err = errors.New("unknown (known are endpoint, region, path_style, create, ca_file)")
		}
		if err != nil {
			return s3.Config{}, fmt.Errorf("option %s: %w", name, err)
		}
	}
	return cfg, cfg.Validate()
}

// trust makes a TLS configuration that trusts the certificates of a PEM file.
func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Probe sees whether a store honours conditional writes, with an object that it removes again.
func Probe(ctx context.Context, s objstore.Store) (err error) {
	key := "probe/" + strings.ToLower(rand.Text())
	put := func(text string) error {
		return s.Put(ctx, key, strings.NewReader(text), int64(len(text)), objstore.PutOptions{IfAbsent: true})
	}
	// The first answer may be lost and the object found by the retry: only the second Put's answer counts.
	if err := put("first"); err != nil && !errors.Is(err, objstore.ErrExists) {
		return fmt.Errorf("write a probe: %w", err)
	}
	defer func() {
		if derr := s.Delete(ctx, key); derr != nil {
			err = errors.Join(err, fmt.Errorf("remove the probe: %w", derr))
		}
	}()
	switch err := put("other"); {
	case err == nil:
		return ErrUnconditional
	case !errors.Is(err, objstore.ErrExists):
		return fmt.Errorf("write a probe again: %w", err)
	}
	got := make([]byte, len("first"))
	if _, err := s.ReadAt(ctx, key, got, 0); err != nil {
		return fmt.Errorf("read the probe: %w", err)
	}
	if !bytes.Equal(got, []byte("first")) {
		return fmt.Errorf("a refused write changed the object: %w", ErrUnconditional)
	}
	return nil
}
