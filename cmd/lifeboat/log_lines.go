package main

import (
	"bytes"
	"sync"
)

// byLine hands on what is written to it line by line, in whatever pieces it comes and whoever writes them.
type byLine struct {
	each func(line []byte) error // without its end; it must not keep the line

	mu   sync.Mutex
	rest []byte // a line whose end has not come
}

// Write implements [io.Writer].
func (l *byLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, after, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		if err := l.each(line); err != nil {
			return 0, err
		}
		l.rest = append([]byte(nil), after...)
	}
}

// flush hands on what has no end of a line.
func (l *byLine) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.each(l.rest) // nobody is left to tell
	l.rest = nil
}
