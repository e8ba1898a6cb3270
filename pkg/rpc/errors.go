package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// toWire turns an error into a gRPC status that carries its errs code.
func toWire(err error) error {
	if err == nil {
		return nil
	}
	var e *errs.Error
	input := errors.As(err, &e) && e.Input
	st := status.New(codes.Unknown, err.Error())
	if with, detailErr := st.WithDetails(&pb.ErrorDetail{Code: int32(errs.CodeOf(err)), Input: input}); detailErr == nil {
		st = with
	}
	return st.Err()
}

// fromWire turns what a gRPC client call returned back into an error with a code. Transport failures become
// Unavailable, so that callers treat a dead peer like one that says so.
func fromWire(target string, err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, d := range st.Details() {
		if e, ok := d.(*pb.ErrorDetail); ok {
			if e.Input {
				return errs.Input(errs.Code(e.Code), "%s", st.Message())
			}
			return errs.New(errs.Code(e.Code), "%s", st.Message())
		}
	}
	switch st.Code() {
	case codes.DeadlineExceeded:
		return errs.New(errs.Timeout, "%s did not answer in time: %w", target, context.DeadlineExceeded)
	case codes.Canceled:
		return errs.New(errs.Canceled, "call of %s canceled: %w", target, context.Canceled)
	case codes.Unavailable:
		return errs.New(errs.Unavailable, "%s is not reachable: %s", target, st.Message())
	case codes.ResourceExhausted:
		return errs.New(errs.ParameterTooLarge, "%s: %s", target, st.Message())
	}
	return errs.New(errs.Unexpected, "%s: %s", target, st.Message())
}

func serverErrors(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	resp, err := next(ctx, req)
	return resp, toWire(err)
}

func clientErrors(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return fromWire(cc.Target(), invoke(ctx, method, req, reply, cc, opts...))
}
