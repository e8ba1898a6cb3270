package mq

import "errors"

// ErrClosed: the log or its queue was closed by this process. Nothing was done.
var ErrClosed = errors.New("mq: closed")

// ErrStopped: the log takes no more appends until its process has started again, because the storage below failed to
// make bytes durable. Appends that return it wrap ErrUncertain too.
var ErrStopped = errors.New("mq: log stopped")
