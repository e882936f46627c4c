package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"testing"
	"time"
)

// victimDir, in the environment, makes this test binary the victim of TestKilledPutLeavesNothing.
const (
	victimDir   = "FILE_TEST_VICTIM_DIR"
	victimNamed = "FILE_TEST_VICTIM_NAMED"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		putForEver(dir, os.Getenv(victimNamed) != "")
	}
	os.Exit(m.Run())
}

// putForEver puts objects whose names are the digests of their contents, until it is killed.
func putForEver(dir string, withNames bool) {
	s, err := New(dir)
	if err != nil {
		panic(err)
	}
	if withNames {
		onlyNamed(s)
	}
	for i := 0; ; i++ {
		body := bytes.Repeat([]byte(fmt.Sprintf("%d %d\n", os.Getpid(), i)), 100_000)
		sum := sha256.Sum256(body)
		if err := s.Put(context.Background(), path.Join("v1", hex.EncodeToString(sum[:1]), hex.EncodeToString(sum[:])), bytes.NewReader(body), int64(len(body))); err != nil {
			panic(err)
		}
	}
}

func TestKilledPutLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, withNames := range map[string]string{"unnamed": "", "named": "yes"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sink(t)
			for i := range 20 {
				victim := exec.Command(os.Args[0])
				victim.Env = append(os.Environ(), victimDir+"="+s.dir, victimNamed+"="+withNames)
				if err := victim.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(20+7*i) * time.Millisecond)
				if err := victim.Process.Kill(); err != nil {
					t.Errorf("the victim had ended before: %v", err)
				}
				_ = victim.Wait() // it was killed
			}
			whole := 0
			for o, err := range s.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				r, err := s.Open(t.Context(), o.Key, 0)
				if err != nil {
					t.Fatal(err)
				}
				h := sha256.New()
				_, err = io.Copy(h, r)
				if err := errors.Join(err, r.Close()); err != nil {
					t.Fatal(err)
				}
				if path.Base(o.Key) != hex.EncodeToString(h.Sum(nil)) {
					t.Errorf("%s is not whole: %d bytes", o.Key, o.Size)
				}
				whole++
			}
			left := len(files(t, s)) - whole
			if whole == 0 || withNames == "" && left > 0 {
				t.Errorf("after 20 kills there are %d whole objects and %d other files", whole, left)
			}
			t.Logf("after 20 kills: %d whole objects, %d hidden files", whole, left)
		})
	}
}
