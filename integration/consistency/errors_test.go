package consistency

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gyr-db/gyr/integration/client"
)

// mayWait reports whether an error is an honest "not now": a Status that says retriable, or the caller's own deadline.
func mayWait(err error) bool {
	var st client.StatusError
	if errors.As(err, &st) {
		return st.Retriable
	}
	return status.Code(err) == codes.DeadlineExceeded
}
