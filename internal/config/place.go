package config

import "fmt"

// place is where a value is written.
type place struct {
	file         string
	line, column int
	path         string // of keys: starter.sources[0].name
}

// Error is something wrong with the configuration, at its place.
type Error struct {
	File         string
	Line, Column int
	// Path is the key, such as starter.sources[0].auth.type; "" for the file as
	// a whole.
	Path string
	// Err says what was found and what is accepted.
	Err error
}

// Error is "file:line:column: path: what is wrong".
func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", e.File, e.Line, e.Column, e.Path, e.Err)
}

// Unwrap is what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// wrong is an error at the place.
func (p place) wrong(format string, args ...any) *Error {
	return &Error{File: p.file, Line: p.line, Column: p.column, Path: p.path, Err: fmt.Errorf(format, args...)}
}
