package proxy

import (
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"
)

// TestTracesGoOn: the trace that a client began is the one in which other services are called.
func TestTracesGoOn(t *testing.T) {
	before := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(propagation.TraceContext{}) // as obs.Trace does in a process
	t.Cleanup(func() { otel.SetTextMapPropagator(before) })
	w := newWorld(t)
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	ctx := metadata.AppendToOutgoingContext(testContext(t), "traceparent", "00-"+id+"-00f067aa0ba902b7-01")
	st, err := w.client().CreateDatabase(ctx, &milvuspb.CreateDatabaseRequest{DbName: "traced"})
	if err != nil || st.Code != 0 {
		t.Fatal(st, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trace != id {
		t.Fatalf("the coordinator was called in trace %q, want %s", w.trace, id)
	}
}
