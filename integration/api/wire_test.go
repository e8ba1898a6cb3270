// Package api tests the public API as bytes on the wire: what SDKs rely on and what bad clients send.
package api

import (
	"context"
	"math"
	"os"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// server is shared by the tests of this package; each uses collections of its own.
var server *harness.Standalone

func TestMain(m *testing.M) { os.Exit(m.Run()) }

func start(t *testing.T) (*client.Client, context.Context) {
	t.Helper()
	s := harness.StartStandalone(t, t.TempDir())
	server = s
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(func() { cancel(); c.Close() })
	return c, ctx
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), b...)
	return nil
}
func (rawCodec) Name() string { return "proto" }

// TestGarbageIsInvalidArgument: SDKs retry INTERNAL and UNKNOWN 75 times, INVALID_ARGUMENT never.
func TestGarbageIsInvalidArgument(t *testing.T) {
	c, ctx := start(t)
	conn, err := grpc.NewClient("passthrough:///"+server.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, method := range []string{"Insert", "Search", "Connect", "CreateCollection", "Query"} {
		in, out := []byte{0xff, 0xff, 0xff, 0xff, 0x01}, []byte{}
		err := conn.Invoke(ctx, "/milvus.proto.milvus.MilvusService/"+method, &in, &out, grpc.ForceCodec(rawCodec{}))
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want INVALID_ARGUMENT", method, err)
		}
	}
	in, out := []byte{}, []byte{}
	err = conn.Invoke(ctx, "/milvus.proto.milvus.MilvusService/NoSuchMethod", &in, &out, grpc.ForceCodec(rawCodec{}))
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("unknown method: %v, want UNIMPLEMENTED", err)
	}
	if _, err := c.GetVersion(ctx, &milvuspb.GetVersionRequest{}); err != nil {
		t.Fatalf("the server is hurt: %v", err)
	}
}

// TestKeepalive: pings every second without calls must not be answered by GOAWAY.
func TestKeepalive(t *testing.T) {
	start(t)
	conn, err := grpc.NewClient("passthrough:///"+server.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	api := milvuspb.NewMilvusServiceClient(conn)
	if _, err := api.GetVersion(ctx, &milvuspb.GetVersionRequest{}); err != nil {
		t.Fatal(err)
	}
	state := conn.GetState()
	quiet, done := context.WithTimeout(ctx, 17*time.Second) // three pings; grpc-go's own limit would strike at the third
	defer done()
	if conn.WaitForStateChange(quiet, state) {
		t.Fatalf("the idle connection went from %s to %s", state, conn.GetState())
	}
}

func TestMessageSizes(t *testing.T) {
	c, ctx := start(t)
	const dim = 1024
	if err := c.Create(ctx, client.Spec{Name: "big", Dim: dim, Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	insert := func(n int) error {
		rows := make([]client.Row, n)
		for i := range rows {
			rows[i] = client.Row{Key: int64(i), Version: 1, Vector: make([]float32, dim)}
			rows[i].Vector[i%dim] = 1
		}
		return c.InsertRows(ctx, "big", rows)
	}
	if err := insert(16_500); err != nil { // 67 MB
		t.Fatalf("a 67 MB insert: %v", err)
	}
	if n, err := c.Count(ctx, "big"); err != nil || n != 16_500 {
		t.Fatalf("count %d, %v", n, err)
	}
	if err := insert(70_000); status.Code(err) != codes.ResourceExhausted { // 287 MB
		t.Fatalf("a 287 MB insert: %v, want RESOURCE_EXHAUSTED", err)
	}
}

// TestContentTypes: SDKs send application/grpc as well as application/grpc+proto.
func TestContentTypes(t *testing.T) {
	start(t)
	for _, sub := range []string{"", "proto"} {
		opts := []grpc.CallOption{grpc.MaxCallRecvMsgSize(math.MaxInt32)}
		if sub != "" {
			opts = append(opts, grpc.CallContentSubtype(sub))
		}
		conn, err := grpc.NewClient("passthrough:///"+server.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(opts...))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if r, err := milvuspb.NewMilvusServiceClient(conn).Connect(ctx, &milvuspb.ConnectRequest{}); err != nil || r.Identifier == 0 {
			t.Errorf("subtype %q: identifier %d, %v", sub, r.GetIdentifier(), err)
		}
		cancel()
		conn.Close()
	}
}
