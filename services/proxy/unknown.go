package proxy

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// newerParts names the parts of read requests that came after the protocol this server is built with.
var newerParts = [...]struct {
	message string
	number  protowire.Number
	name    string
}{
	{"SearchRequest", 24, "function_chains of a search"},
	{"HybridSearchRequest", 15, "function_chains of a hybrid search"},
}

// refuseUnknown refuses a read that asks for something this server does not know: to answer without it would be wrong.
func refuseUnknown(req proto.Message) error {
	r := req.ProtoReflect()
	unknown := r.GetUnknown()
	if len(unknown) == 0 {
		return nil
	}
	number, _, n := protowire.ConsumeTag(unknown)
	if n < 0 {
		return nil
	}
	message := string(r.Descriptor().Name())
	for _, p := range newerParts {
		if p.message == message && p.number == number {
			return notBuilt(p.name)
		}
	}
	return notBuilt(fmt.Sprintf("field %d of %s", number, message))
}
