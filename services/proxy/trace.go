package proxy

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// traced lets the client's trace go on, or begins one when this process exports traces: services that are called in ctx
// become parts of it. The function ends the request's span. gRPC's own instrumentation would copy the metadata of every
// request and note each message of it.
func traced(ctx context.Context, method string) (context.Context, func()) {
	ctx = otel.GetTextMapPropagator().Extract(ctx, incomingHeaders{ctx})
	ctx, span := otel.Tracer("gyr").Start(ctx, "milvus.proto.milvus.MilvusService/"+method, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func() { span.End() }
}

// incomingHeaders are a request's metadata as the carrier of a trace.
type incomingHeaders struct{ ctx context.Context }

var _ propagation.TextMapCarrier = incomingHeaders{}

// Get implements propagation.TextMapCarrier.
func (h incomingHeaders) Get(key string) string {
	if v := metadata.ValueFromIncomingContext(h.ctx, key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Set implements propagation.TextMapCarrier; what came in is not changed.
func (h incomingHeaders) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (h incomingHeaders) Keys() []string {
	md, _ := metadata.FromIncomingContext(h.ctx)
	keys := make([]string, 0, len(md))
	for k := range md {
		keys = append(keys, k)
	}
	return keys
}
