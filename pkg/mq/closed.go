package mq

import "errors"

// ErrClosed: the log or its queue was closed by this process. Nothing was done.
var ErrClosed = errors.New("mq: closed")
