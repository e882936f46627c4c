package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ sig syscall.Signal }

func (i interrupted) Error() string { return fmt.Sprintf("interrupted by %s", i.sig) }

// code is the exit status a shell gives a process ended by this signal.
func (i interrupted) code() int { return 128 + int(i.sig) }

// untilSignal returns a context that SIGINT, SIGTERM or SIGHUP ends, with the signal as its cause. A second signal has its
// ordinary effect, so that a command which hangs in its cleanup can still be ended by hand. A hang-up is a terminal that was closed or
// an ssh that broke, in the middle of anything: it must not leave data in plain behind. Under nohup it is ignored, and stays so.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(got, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		select {
		case s := <-got:
			signal.Stop(got)
			cancel(interrupted{s.(syscall.Signal)})
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(got)
		close(done)
		cancel(nil)
	}
}
