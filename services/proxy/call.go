package proxy

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gyr-db/gyr/pkg/errs"
)

// defaultDB is the database of requests that name none. It always exists.
const defaultDB = "default"

// call is one request on its way through the proxy.
type call struct {
	p       *Proxy
	method  string
	begun   time.Time
	refused error
}

// run is the one path of every method: it names the database, runs the handler, and turns its error into an answer of
// the method's own type.
func (c *call) run(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	err := c.refused
	// A handler called with a canceled context would do work; its answer type is wanted only.
	var resp any
	if err == nil {
		if m, ok := req.(proto.Message); ok {
			fillDatabase(ctx, c.method, m)
		}
		early, cancel := beforeDeadline(ctx)
		resp, err = c.guarded(early, req, handler)
		err = outOfTime(early, err)
		cancel()
	} else {
		resp = emptyResponse(c.method)
	}
	out, grpcErr := c.answer(resp, err)
	c.p.metrics.observe(c.method, out, grpcErr, time.Since(c.begun))
	return out, grpcErr
}

// answerMargin is how long before its client's deadline a request is given up, so that the client gets a Status that says
// whether to try again, and not its own deadline.
const answerMargin = 200 * time.Millisecond

func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return ctx, func() {}
	}
	margin := min(time.Until(deadline)/10, answerMargin)
	return context.WithDeadline(ctx, deadline.Add(-margin))
}

// outOfTime turns a failure for lack of time into one that the client may try again.
func outOfTime(ctx context.Context, err error) error {
	// A peer that had the same deadline may have noticed its end a moment sooner.
	if deadline, bounded := ctx.Deadline(); err == nil || !bounded || time.Until(deadline) > answerMargin/4 {
		return err
	}
	grpcCode := codes.OK
	if isPlainGRPC(err) {
		grpcCode = status.Code(err)
	}
	switch code := errs.CodeOf(err); {
	case code == errs.Timeout, code == errs.Canceled, grpcCode == codes.DeadlineExceeded, grpcCode == codes.Canceled:
		return errs.New(errs.Unavailable, "not answered in time: %w", err)
	}
	return err
}

func (c *call) guarded(ctx context.Context, req any, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.p.deps.Logger.Error("panic in a request", "method", c.method, "panic", r, "stack", string(debug.Stack()))
			resp, err = emptyResponse(c.method), errs.New(errs.Unexpected, "panic in %s: %v", c.method, r)
		}
	}()
	return handler(ctx, req)
}

// answer gives what the client gets: the response, or one of the same type that carries err as its Status.
func (c *call) answer(resp any, err error) (proto.Message, error) {
	m, _ := resp.(proto.Message)
	if err == nil {
		return m, nil
	}
	if st, ok := status.FromError(err); ok && isPlainGRPC(err) {
		switch {
		case st.Code() == codes.Unimplemented && lackedBy26(c.method):
			return nil, err
		case st.Code() == codes.Unimplemented:
			err = errs.New(errs.Unimplemented, "%s is not implemented", c.method)
		default:
			return nil, err
		}
	}
	c.p.deps.Logger.Debug("request failed", "method", c.method, "error", err)
	if m == nil {
		m = emptyResponse(c.method)
	}
	return withStatus(m, statusOf(err)), nil
}

// isPlainGRPC tells a gRPC error made in this process from one that merely wraps something with a code.
func isPlainGRPC(err error) bool {
	var e *errs.Error
	if errors.As(err, &e) {
		return false
	}
	var g interface{ GRPCStatus() *status.Status }
	return errors.As(err, &g)
}

// emptyResponse returns an empty answer of a method's type.
func emptyResponse(method string) proto.Message {
	m := serviceMethods().ByName(protoreflect.Name(method))
	if m == nil {
		return &commonpb.Status{}
	}
	return newMessage(m.Output())
}

// withStatus returns a fresh message of m's type with st in its status field, or st itself if that is the type.
func withStatus(m proto.Message, st *commonpb.Status) proto.Message {
	r := m.ProtoReflect()
	if r.Descriptor().FullName() == st.ProtoReflect().Descriptor().FullName() {
		return st
	}
	out := r.New()
	if f := r.Descriptor().Fields().ByName("status"); f != nil && f.Message() != nil &&
		f.Message().FullName() == st.ProtoReflect().Descriptor().FullName() {
		out.Set(f, protoreflect.ValueOfMessage(st.ProtoReflect()))
	}
	return out.Interface()
}

// databaseIsSubject are the methods whose db_name is what they are about.
func databaseIsSubject(method string) bool {
	switch method {
	case "CreateDatabase", "DropDatabase", "AlterDatabase", "DescribeDatabase":
		return true
	}
	return false
}

// fillDatabase puts the database of the dbname header, or the default one, where the request names none.
func fillDatabase(ctx context.Context, method string, req proto.Message) {
	if databaseIsSubject(method) {
		return
	}
	r := req.ProtoReflect()
	f := r.Descriptor().Fields().ByName("db_name")
	if f == nil {
		f = r.Descriptor().Fields().ByName("dbName") // a few messages spell it so
	}
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() || r.Get(f).String() != "" {
		return
	}
	r.Set(f, protoreflect.ValueOfString(headerDatabase(ctx)))
}

// headerDatabase returns the database that the request's metadata names.
func headerDatabase(ctx context.Context) string {
	for _, v := range metadata.ValueFromIncomingContext(ctx, "dbname") {
		if v != "" {
			return v
		}
	}
	return defaultDB
}
