package proxy

import (
	"context"
	"runtime"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	grpcproto "google.golang.org/grpc/encoding/proto"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// newGRPCServer returns the public gRPC server.
func (p *Proxy) newGRPCServer() *grpc.Server {
	s := grpc.NewServer(
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(grpcproto.Name)}),
		// SDKs ping every 5 to 10 s without active calls; a stricter policy ends their connections.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.MaxRecvMsgSize(p.cfg.MaxRecvBytes), grpc.MaxSendMsgSize(p.cfg.MaxSendBytes),
		grpc.MaxConcurrentStreams(uint32(p.cfg.MaxRequests)),
		// Calls run on goroutines that live on: a fresh one grows its stack anew in each search. More calls than these get
		// goroutines of their own.
		grpc.NumStreamWorkers(uint32(8*runtime.GOMAXPROCS(0))),
	)
	s.RegisterService(p.streamed(&milvuspb.MilvusService_ServiceDesc), p)
	healthpb.RegisterHealthServer(s, p.health)
	return s
}

// streamed returns the service with its unary methods registered as streams of one message each way, which is the
// same on the wire: so a request is admitted before its body is read.
func (p *Proxy) streamed(unary *grpc.ServiceDesc) *grpc.ServiceDesc {
	out := &grpc.ServiceDesc{ServiceName: unary.ServiceName, HandlerType: unary.HandlerType, Metadata: unary.Metadata}
	for _, m := range unary.Methods {
		out.Streams = append(out.Streams, grpc.StreamDesc{
			StreamName: m.MethodName,
			Handler:    func(_ any, stream grpc.ServerStream) error { return p.serveCall(m, stream) },
		})
	}
	return out
}

// serveCall runs one call. What it returns is a gRPC error, which clients see as a matter of the transport.
func (p *Proxy) serveCall(m grpc.MethodDesc, stream grpc.ServerStream) error {
	ctx, cancel := p.withDeadline(stream.Context())
	defer cancel()
	ctx, ended := traced(ctx, m.MethodName)
	defer ended()
	c := &call{p: p, method: m.MethodName, begun: time.Now()}
	ticket, refused := p.gate.enter(ctx)
	if refused == nil {
		defer ticket.leave()
	}
	decode := func(into any) error {
		in := incoming{msg: into.(proto.Message)}
		if err := stream.RecvMsg(&in); err != nil {
			return err
		}
		if in.err != nil {
			return status.Errorf(codes.InvalidArgument, "the request is no valid %s: %v", in.msg.ProtoReflect().Descriptor().Name(), in.err)
		}
		if ticket != nil {
			ticket.holds(int64(in.size))
		}
		return nil
	}
	if refused != nil {
		// Answered without reading the body; the method's own answer type carries the refusal.
		decode = func(any) error { return nil }
		c.refused = refused
	}
	resp, err := m.Handler(p, ctx, decode, c.run)
	if err != nil {
		return err
	}
	return stream.SendMsg(resp)
}

func (p *Proxy) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, p.cfg.RequestTimeout)
}

// incoming receives a message together with the reason why it could not be read.
type incoming struct {
	msg  proto.Message
	size int
	err  error
}

// codec is gRPC's protobuf codec that tells bytes that are no protobuf from other failures.
type codec struct{ encoding.CodecV2 }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	in.size = data.Len()
	in.err = c.CodecV2.Unmarshal(data, in.msg)
	return nil
}
