// Package errs defines the one error type that crosses package and process borders in Gyr.
//
// A code is the number that the Milvus v2 API uses for the same situation, so the proxy maps an error to a
// public Status in one place without guessing. Packages that know no API meaning wrap plain errors as usual; an
// error without a code reaches the client as Unexpected.
package errs

import (
	"context"
	"errors"
	"fmt"
)

// Code is a Milvus v2 error code (the int32 `code` of a Status).
type Code int32

// Codes of the Milvus v2 API that Gyr uses.
const (
	OK                   Code = 0
	NotReady             Code = 1
	Unavailable          Code = 2
	MemoryLimit          Code = 3
	TooManyRequests      Code = 4
	Internal             Code = 5
	DiskLimit            Code = 7
	RateLimit            Code = 8
	QuotaExceeded        Code = 9
	Unimplemented        Code = 10
	CollectionNotFound   Code = 100
	CollectionNotLoaded  Code = 101
	CollectionLimit      Code = 102
	CollectionNotFully   Code = 103
	CollectionLoaded     Code = 104
	IllegalSchema        Code = 105
	SchemaMismatch       Code = 109
	PartitionNotFound    Code = 200
	PartitionNotLoaded   Code = 201
	ReplicaNotFound      Code = 400
	ChannelNotFound      Code = 500
	SegmentNotFound      Code = 600
	IndexNotFound        Code = 700
	IndexNotSupported    Code = 701
	IndexDuplicate       Code = 702
	DatabaseNotFound     Code = 800
	DatabaseLimit        Code = 801
	DatabaseInvalidName  Code = 802
	NodeNotFound         Code = 901
	IO                   Code = 1000
	IOKeyNotFound        Code = 1001
	InvalidParameter     Code = 1100
	MissingParameter     Code = 1101
	ParameterTooLarge    Code = 1102
	AliasNotFound        Code = 1600
	AliasCollectionClash Code = 1601
	AliasExists          Code = 1602
	FieldNotFound        Code = 1700
	InvalidFieldName     Code = 1701
	Corrupt              Code = 2000
	InconsistentRequery  Code = 2200
	Canceled             Code = 10000
	Timeout              Code = 10001
	Unexpected           Code = 65535
)

// Internal codes never leave the cluster: the proxy handles them and answers something else.
const (
	// ViewStale: the node dropped the view that a request names; run the whole request again on a newer view.
	ViewStale Code = 90001 + iota
	// NotOwner: the node does not own the log; look the owner up again.
	NotOwner
	// Fenced: a newer owner has fenced the log.
	Fenced
	// SnapshotTooOld: the read timestamp lies below the horizon.
	SnapshotTooOld
	// WriteConflict: a key read at ReadTS was written after it; read again and retry.
	WriteConflict
	// NotLeader: the coordinator that was asked is a standby.
	NotLeader
	// Moved: the shard or partition that a write names is gone; refresh the catalog.
	Moved
)

// Error is an error with a code. Msg is the whole text that a user sees.
type Error struct {
	Code Code
	Msg  string
	// Input: the caller's request is at fault; retrying it unchanged cannot help.
	Input bool
	cause error
}

func (e *Error) Error() string { return e.Msg }

// Unwrap returns the wrapped cause, if any.
func (e *Error) Unwrap() error { return e.cause }

// New returns an error with a code that is not the caller's fault.
func New(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Msg: err.Error(), cause: errors.Unwrap(err)}
}

// Input returns an error with a code caused by the caller's request.
func Input(code Code, format string, args ...any) *Error {
	e := New(code, format, args...)
	e.Input = true
	return e
}

// Invalid returns the commonest input error, code 1100. The text ends in the sentinel that the API's users know.
func Invalid(format string, args ...any) *Error {
	return Input(InvalidParameter, "%s: invalid parameter", fmt.Sprintf(format, args...))
}

// CodeOf returns the code of err: OK for nil, Canceled and Timeout for context errors, Unexpected when there is none.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Unexpected
}

// Is reports whether err carries code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }

// Retriable reports whether the same request may succeed later without a change by the caller.
func (c Code) Retriable() bool {
	switch c {
	case NotReady, Unavailable, TooManyRequests, RateLimit, CollectionNotFully, PartitionNotLoaded + 1,
		InconsistentRequery, ViewStale, NotOwner, Fenced, WriteConflict, NotLeader, Moved:
		return true
	}
	return false
}
