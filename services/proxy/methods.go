package proxy

import (
	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// serviceMethods are the methods of the public service.
func serviceMethods() protoreflect.MethodDescriptors {
	return milvuspb.File_milvus_proto.Services().ByName("MilvusService").Methods()
}

func newMessage(d protoreflect.MessageDescriptor) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return &commonpb.Status{}
	}
	return t.New().Interface()
}

// lackedBy26 names the methods that came after the 2.6 line. SDKs fall back to older methods on gRPC's UNIMPLEMENTED,
// and only on that.
func lackedBy26(method string) bool {
	switch method {
	case "AlterCollectionSchema", "AddCollectionStructField", "ComputePhraseMatchSlop", "BatchUpdateManifest",
		"CreateSnapshot", "DropSnapshot", "ListSnapshots", "DescribeSnapshot", "RestoreSnapshot",
		"GetRestoreSnapshotState", "ListRestoreSnapshotJobs", "PinSnapshotData", "UnpinSnapshotData",
		"RefreshExternalCollection", "GetRefreshExternalCollectionProgress", "ListRefreshExternalCollectionJobs":
		return true
	}
	return false
}
