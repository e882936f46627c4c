package lab

import (
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
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	exit, err := child.Start(cmd)
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	ended := make(chan struct{})
	go func() {
		<-exit
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	ask := http.Client{Timeout: ready} // one that takes a connection and says nothing does not serve either
	for deadline := time.Now().Add(ready); ; {
		resp, err := ask.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == status {
				return
			}
			err = fmt.Errorf("status %s", resp.Status)
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(logFile)
			t.Fatalf("%s ended: %s", name, text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not serve after %v: %v", name, ready, err)
		}
	}
}
