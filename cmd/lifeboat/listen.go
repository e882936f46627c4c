package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lifeboat-dr/lifeboat/observe"
)

// checkListen finds what is wrong with an address before anything is done.
func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return &usageError{
			fmt.Sprintf("--listen %q is no address to listen on", address),
			"write HOST:PORT, or :PORT for all addresses of this machine, as in :9870 or 127.0.0.1:9870",
		}
	}
	return nil
}

// takenError is an address that cannot be listened on.
type takenError struct {
	address string
	error
}

func (e *takenError) Error() string {
	return fmt.Sprintf("cannot listen on %s: %v", e.address, e.error)
}
func (e *takenError) Unwrap() error { return e.error }
func (e *takenError) Hint() string {
	if errors.Is(e.error, syscall.EADDRINUSE) {
		return "another process has this port, perhaps another lifeboat: end it, or name another port with --listen"
	}
	return "name an address of this machine, and a port that this user may use, with --listen"
}

// listen takes the address, before anything else is begun.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	var bare *net.OpError
	switch {
	case errors.As(err, &bare):
		return nil, &takenError{address, bare.Err}
	case err != nil:
		return nil, &takenError{address, err}
	}
	return l, nil
}

// show serves metrics and what probes ask for until ctx ends.
func (g *global) show(ctx context.Context, l net.Listener, healthy, ready func() error, all ...prometheus.Collector) error {
	p := observe.Page{Version: version, Healthy: healthy, Ready: ready, Log: g.logger()}
	h, err := p.Handler(all...)
	if err != nil {
		return err
	}
	g.logger().Info("listening", "address", l.Addr().String())
	return p.Serve(ctx, l, h)
}
