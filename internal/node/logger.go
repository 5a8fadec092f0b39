package node

import (
	"io"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

// NewLogger writes a node's own messages with zap, a line each, to w. level is
// that of the configuration. Packages that programs embed take slog's logger, so
// that they may bring their own.
func NewLogger(w io.Writer, level string) *slog.Logger {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		l = zapcore.InfoLevel
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.ISO8601TimeEncoder
	enc.EncodeLevel = zapcore.LowercaseLevelEncoder
	enc.EncodeDuration = zapcore.StringDurationEncoder
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(zapcore.AddSync(w)), l)
	return slog.New(zapslog.NewHandler(core, zapslog.AddStacktraceAt(never)))
}

// never is beyond all levels: an error's words say what to do, a stack does not.
const never = slog.Level(100)
