package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ sig syscall.Signal }

func (i interrupted) Error() string { return "interrupted by " + unix.SignalName(i.sig) }

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

// toldAfterSignal is how long it may take to tell somebody how the work ended once a signal came: Kubernetes lets a pod go on for 30 s, and whoever sent
// the signal waits.
const toldAfterSignal = 2 * time.Second

// toTellOf makes a context for telling somebody how the work ended, which goes on when that of the work has ended, by its own timeout too. A signal
// shortens it, whether it came before or comes meanwhile.
func toTellOf(work context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), limit)
	stop := context.AfterFunc(work, func() {
		if errors.As(context.Cause(work), new(interrupted)) {
			time.AfterFunc(toldAfterSignal, cancel)
		}
	})
	return ctx, func() {
		stop()
		cancel()
	}
}
