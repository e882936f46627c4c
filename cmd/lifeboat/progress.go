package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 10 * time.Second
	barWidth  = 28
)

// progress shows how far a phase is: a bar with bytes and the time left on a terminal, a line every ten seconds elsewhere.
// Its methods may be called from several goroutines.
type progress struct {
	w        io.Writer
	terminal bool

	mu    sync.Mutex
	phase string
	began time.Time
	shown time.Time
	drawn bool
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, terminal: isTerminal(w)}
}

// at reports that phase has done so many bytes of total (0 = not known yet).
func (p *progress) at(phase string, done, total int64) {
	p.show(phase, done, total, amountText)
}

// count reports that phase has done so many of total things, the last of which is named.
func (p *progress) count(phase string, done, total int, name string) {
	p.show(phase, int64(done), int64(total), func(done, total int64, _ time.Duration) string {
		return fmt.Sprintf("%d of %d: %s", done, total, name)
	})
}

func (p *progress) show(phase string, done, total int64, text func(done, total int64, took time.Duration) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if phase != p.phase {
		p.clear()
		p.phase, p.began, p.shown = phase, now, now
	}
	every := lineEvery
	if p.terminal {
		every = barEvery
	}
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%-9s %s", phase, barText(done, total)+text(done, total, now.Sub(p.began)))
		p.drawn = true
		return
	}
	fmt.Fprintf(p.w, "lifeboat: %s: %s\n", phase, text(done, total, now.Sub(p.began)))
}

// Write removes the bar from the line before something else is written, so that log lines can go through it.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	return p.w.Write(b)
}

// done removes a bar that is still on the line.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.phase = ""
}

func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

func barText(done, total int64) string {
	if total <= 0 {
		return ""
	}
	full := min(int(done*barWidth/total), barWidth)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] "
}

func amountText(done, total int64, took time.Duration) string {
	if total <= 0 {
		return bytesText(done)
	}
	text := fmt.Sprintf("%s of %s", bytesText(done), bytesText(total))
	if done > 0 && took > 0 {
		left := time.Duration(float64(took) / float64(done) * float64(total-done)).Round(time.Second)
		text += fmt.Sprintf(", %s/s, %s left", bytesText(int64(float64(done)/took.Seconds())), left)
	}
	return text
}
