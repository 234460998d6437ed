package media

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// pionLog hands the DTLS library's messages to a slog.Logger at Debug: what
// matters of them comes back as errors. A nil logger is silent.
type pionLog struct{ log *slog.Logger }

func (l pionLog) NewLogger(scope string) logging.LeveledLogger { return l }

func (l pionLog) say(msg string) {
	if l.log != nil {
		l.log.Debug("dtls: " + msg)
	}
}

func (l pionLog) sayf(format string, args []any) {
	if l.log != nil && l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.say(fmt.Sprintf(format, args...))
	}
}

func (l pionLog) Trace(string)                 {}
func (l pionLog) Tracef(string, ...any)        {}
func (l pionLog) Debug(msg string)             { l.say(msg) }
func (l pionLog) Debugf(f string, args ...any) { l.sayf(f, args) }
func (l pionLog) Info(msg string)              { l.say(msg) }
func (l pionLog) Infof(f string, args ...any)  { l.sayf(f, args) }
func (l pionLog) Warn(msg string)              { l.say(msg) }
func (l pionLog) Warnf(f string, args ...any)  { l.sayf(f, args) }
func (l pionLog) Error(msg string)             { l.say(msg) }
func (l pionLog) Errorf(f string, args ...any) { l.sayf(f, args) }
