package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// heartbeatTimeout bounds one ping: the cluster's next job waits for it.
const heartbeatTimeout = 10 * time.Second

// heartbeat are addresses of a dead man's switch: whoever watches it raises the alarm when the good news stop.
type heartbeat struct {
	Success string `yaml:"success"` // asked for after every backup that is in every sink
	Fail    string `yaml:"fail"`    // after every other one
}

// beat tells how the command ended that makes one backup. Whoever ended it by a signal knows. Jobs of the service have theirs told by it.
func (f *flags) beat(g *global, cmd *cobra.Command, err error) {
	if err != nil {
		err = ended(cmd, err)
	}
	if code := exitCode(cmd.Context(), err); code < 128 {
		f.heartbeat.beat(cmd.Context(), g, code == exitDone)
	}
}

// beat tells how a backup ended, and reports whether it could, if it was to. That it fails is a warning: the backup is what it is.
func (h heartbeat) beat(ctx context.Context, g *global, ok bool) bool {
	address := h.Fail
	if ok {
		address = h.Success
	}
	if address == "" {
		return true
	}
	ctx, cancel := toTellOf(ctx, heartbeatTimeout)
	defer cancel()
	err := ping(ctx, address)
	if err != nil {
		g.warnf("the heartbeat could not be sent: %v", err)
	}
	return err == nil
}

// ping gets an address. Errors name its host only: the rest may be a secret.
func ping(ctx context.Context, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || r.URL.Host == "" {
		return errors.New("it is no address")
	}
	r.Header.Set("User-Agent", "lifeboat/"+version)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		var bare *url.Error
		if errors.As(err, &bare) {
			err = bare.Err
		}
		return fmt.Errorf("%s: %w", r.URL.Host, err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // what it says is not for us; the connection may be used again
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s answers %s", r.URL.Host, answer.Status)
	}
	return nil
}
