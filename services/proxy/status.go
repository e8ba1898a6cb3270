package proxy

import (
	"errors"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/pkg/errs"
)

// codeRecovering: a collection whose nodes are being replaced. Only the proxy answers it.
const codeRecovering errs.Code = 106

// success is the Status of a request that went well: everything zero, the reason too.
func success() *commonpb.Status { return &commonpb.Status{} }

// statusOf turns an error into the Status that clients see. It is the only place that does.
func statusOf(err error) *commonpb.Status {
	if err == nil {
		return success()
	}
	var e *errs.Error
	input := errors.As(err, &e) && e.Input
	code, input := publicCode(errs.CodeOf(err), input)
	st := &commonpb.Status{
		Code: int32(code), ErrorCode: legacyCode(code), Reason: err.Error(), Detail: err.Error(),
		Retriable: !input && (code.Retriable() || code == codeRecovering),
	}
	if input {
		st.ExtraInfo = map[string]string{"is_input_error": "true"}
	}
	return st
}

// publicCode replaces the codes that never leave the cluster.
func publicCode(code errs.Code, input bool) (errs.Code, bool) {
	switch code {
	case errs.OK:
		return errs.Unexpected, input // an error must not look like success
	case errs.ViewStale:
		return codeRecovering, false
	case errs.NotOwner, errs.Fenced, errs.NotLeader, errs.WriteConflict, errs.Moved:
		return errs.Unavailable, false
	case errs.SnapshotTooOld:
		return errs.InvalidParameter, true
	}
	return code, input
}

// legacyCode returns the value of the old enum that belongs to a code. Some SDKs look at it only.
func legacyCode(code errs.Code) commonpb.ErrorCode {
	switch code {
	case errs.OK:
		return commonpb.ErrorCode_Success
	case errs.NotReady, 110:
		return commonpb.ErrorCode_NotReadyServe
	case errs.MemoryLimit:
		return commonpb.ErrorCode_InsufficientMemoryToLoad
	case errs.DiskLimit:
		return commonpb.ErrorCode_DiskQuotaExhausted
	case errs.RateLimit:
		return commonpb.ErrorCode_RateLimit
	case errs.QuotaExceeded:
		return commonpb.ErrorCode_ForceDeny
	case 11, 505:
		return commonpb.ErrorCode_TimeTickLongDelay
	case errs.CollectionNotFound:
		return commonpb.ErrorCode_CollectionNotExists
	case errs.SchemaMismatch:
		return commonpb.ErrorCode_SchemaMismatch
	case errs.PartitionNotFound, errs.ReplicaNotFound, 501:
		return commonpb.ErrorCode_MetaFailed
	case 401, 503:
		return commonpb.ErrorCode_NoReplicaAvailable
	case errs.SegmentNotFound:
		return commonpb.ErrorCode_SegmentNotFound
	case errs.IndexNotFound:
		return commonpb.ErrorCode_IndexNotExist
	case 904:
		return commonpb.ErrorCode_NodeIDNotMatch
	case errs.InvalidParameter, errs.MissingParameter, errs.ParameterTooLarge:
		return commonpb.ErrorCode_IllegalArgument
	}
	return commonpb.ErrorCode_UnexpectedError
}

// Errors about things that are not there, in the words that applications know.

func databaseNotFound(db string) error {
	return errs.Input(errs.DatabaseNotFound, "database not found[database=%s]", db)
}

func collectionNotFound(db, name string) error {
	return errs.Input(errs.CollectionNotFound, "collection not found[database=%s][collection=%s]", db, name)
}

func partitionNotFound(name string) error {
	return errs.Input(errs.PartitionNotFound, "partition not found[partition=%s]", name)
}

func indexNotFound(collection string) error {
	return errs.Input(errs.IndexNotFound, "index not found[collection=%s]", collection)
}

func notBuilt(feature string) error {
	return errs.Input(errs.Unimplemented, "%s is not supported", feature)
}
