// Package quiet is a logger for pion's packages that drops everything: what
// matters of what they say is in our errors and our own log.
package quiet

import "github.com/pion/logging"

// Factory makes silent loggers.
type Factory struct{}

// NewLogger returns a logger that drops everything.
func (Factory) NewLogger(string) logging.LeveledLogger { return logger{} }

type logger struct{}

func (logger) Trace(string)          {}
func (logger) Tracef(string, ...any) {}
func (logger) Debug(string)          {}
func (logger) Debugf(string, ...any) {}
func (logger) Info(string)           {}
func (logger) Infof(string, ...any)  {}
func (logger) Warn(string)           {}
func (logger) Warnf(string, ...any)  {}
func (logger) Error(string)          {}
func (logger) Errorf(string, ...any) {}
