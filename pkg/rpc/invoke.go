package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
)

// invokeLocal calls a method of a service in this process by its full gRPC name. The messages are small (catalog
// changes, timestamps), so they are copied.
func invokeLocal(ctx context.Context, desc *grpc.ServiceDesc, server any, method string, args, reply any) error {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, m := range desc.Methods {
		if m.MethodName != name {
			continue
		}
		decode := func(into any) error {
			proto.Merge(into.(proto.Message), args.(proto.Message))
			return nil
		}
		out, err := m.Handler(server, ctx, decode, nil)
		if err != nil {
			return err
		}
		proto.Merge(reply.(proto.Message), out.(proto.Message))
		return nil
	}
	return errs.New(errs.Unimplemented, "no method %s", method)
}
