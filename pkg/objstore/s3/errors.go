package s3

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// wrap gives an error the meaning that package objstore knows, and says what was being done.
func wrap(what, key string, err error) error {
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("s3: %s %s: %w: %w", what, key, kind, err)
	}
	return fmt.Errorf("s3: %s %s: %w", what, key, err)
}

// kindOf judges by the status first: servers differ in their codes.
func kindOf(err error) error {
	code := codeOf(err)
	switch statusOf(err) {
	case http.StatusNotFound:
		if code == "NoSuchBucket" || code == "NoSuchUpload" {
			return nil
		}
		return objstore.ErrNotFound
	case http.StatusPreconditionFailed:
		return objstore.ErrExists
	case http.StatusInsufficientStorage:
		return objstore.ErrFull
	}
	switch code {
	case "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage":
		return objstore.ErrFull
	}
	return nil
}

// statusOf is the HTTP status of an error, zero if no answer came.
func statusOf(err error) int {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) {
		return re.HTTPStatusCode()
	}
	return 0
}

func codeOf(err error) string {
	var ae smithy.APIError
	if errors.As(err, &ae) {
		return ae.ErrorCode()
	}
	return ""
}
