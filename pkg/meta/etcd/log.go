package etcd

import (
	"context"
	"log/slog"
	"strings"

	"go.uber.org/zap/zapcore"
)

// falseAlarms are messages that etcd logs as warnings or errors in normal operation; falseCauses are errors of
// listeners that were closed on purpose.
var (
	falseAlarms = [...]string{
		"failed to update storage version", // each start on an empty folder
		"Failed to detect schema version",  // the same
		"Running http and grpc server on single port",
		"simple token is not cryptographically signed",
	}
	falseCauses = [...]string{"use of closed network connection", "mux: server closed", "http: Server closed"}
)

// Logger makes etcd log to log: its own information is debugging for us.
func Logger(log *slog.Logger) zapcore.Core { return core{log} }

// core implements zapcore.Core.
type core struct{ log *slog.Logger }

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.Core.
func (c core) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), level(l))
}

// With implements zapcore.Core.
func (c core) With(fields []zapcore.Field) zapcore.Core { return core{c.log.With(attrs(fields)...)} }

// Check implements zapcore.Core.
func (c core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	to := level(e.Level)
	if isFalse(e, fields) {
		to = slog.LevelDebug
	}
	c.log.Log(context.Background(), to, "etcd: "+e.Message, attrs(fields)...)
	return nil
}

func isFalse(e zapcore.Entry, fields []zapcore.Field) bool {
	for _, s := range falseAlarms {
		if strings.Contains(e.Message, s) {
			return true
		}
	}
	for _, f := range fields {
		err, ok := f.Interface.(error)
		if !ok {
			continue
		}
		for _, s := range falseCauses {
			if strings.Contains(err.Error(), s) {
				return true
			}
		}
	}
	return false
}

// Sync implements zapcore.Core.
func (c core) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]any, 0, len(enc.Fields))
	for k, v := range enc.Fields {
		out = append(out, slog.Any(k, v))
	}
	return out
}
