package lab

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

// serve starts a server, which ends with the test, and returns when a URL answers with the status.
func serve(t testing.TB, name string, cmd *exec.Cmd, logFile, url string, status int) {
	t.Helper()
	stop, err := launch(name, cmd, logFile, url, status)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

// launch is serve for whoever ends the server himself. A server that did not come to serve has been ended.
func launch(name string, cmd *exec.Cmd, logFile, url string, status int) (stop func(), err error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	exit, err := child.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ended := make(chan struct{})
	go func() {
		<-exit
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	if err := awaitStatus(url, status, ended); err != nil {
		stop()
		text, _ := os.ReadFile(logFile)
		return nil, fmt.Errorf("%s %w: %s", name, err, text)
	}
	return stop, nil
}

// awaitStatus waits until a URL answers with the status, or its server has ended.
func awaitStatus(url string, status int, ended <-chan struct{}) error {
	ask := http.Client{Timeout: ready} // one that takes a connection and says nothing does not serve either
	for deadline := time.Now().Add(ready); ; {
		resp, err := ask.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == status {
				return nil
			}
			err = fmt.Errorf("status %s", resp.Status)
		}
		select {
		case <-ended:
			return errors.New("ended")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("does not serve after %v: %w", ready, err)
		}
	}
}
