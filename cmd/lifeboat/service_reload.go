package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/observe"
)

// hangups is where SIGHUP arrives, which ends any other command. It is asked for before a configuration is read: one that comes meanwhile must not end us.
func hangups() chan os.Signal {
	hangup := make(chan os.Signal, 1)
	signal.Reset(syscall.SIGHUP)
	signal.Notify(hangup, syscall.SIGHUP)
	return hangup
}

// refuse tells all that is wrong with a configuration; nil if nothing is.
func (g *global) refuse(config string, wrong []error) error {
	for _, m := range wrong {
		g.errorf(m)
	}
	if len(wrong) == 0 {
		return nil
	}
	return &usageError{fmt.Sprintf("mistakes in configuration %s: %d; nothing was started", config, len(wrong)), "docs/service.md and docs/configuration.md describe every key"}
}

// reloading reads a configuration again whenever it is told to. take does so; it tells what it took in words for the log, or all that is wrong.
func (g *global) reloading(ctx context.Context, hangup <-chan os.Signal, config string, reloads *observe.Reloads, take func() (what []any, wrong []error, err error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		what, wrong, err := take()
		if err != nil {
			wrong = []error{err}
		}
		for _, m := range wrong {
			g.logger().Error("mistake in the configuration", append([]any{"err", oneLine(m.Error())}, hintAttr(m)...)...)
		}
		reloads.Tried(len(wrong) == 0, g.now())
		if len(wrong) > 0 {
			g.logger().Error("the configuration was not taken, and the one from before goes on", "config", config, "mistakes", len(wrong))
			continue
		}
		g.logger().Info("configuration taken", append([]any{"config", config}, what...)...)
	}
}
