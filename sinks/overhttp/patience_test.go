package overhttp_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

var errAway = errors.New("connection refused")

// TestWhatHasNeverAnsweredCostsOnePatienceForAllCalls keeps a sink that is away from holding up a run for every object.
func TestWhatHasNeverAnsweredCostsOnePatienceForAllCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var contact overhttp.Contact
		began := time.Now()
		for range 100 {
			p := overhttp.Patience{Limit: 15 * time.Minute, Contact: &contact}
			for p.Lasts(errAway) {
				time.Sleep(time.Second)
			}
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("a hundred calls were tried for %v", took)
		}
		contact.Made() // it is back
		p := overhttp.Patience{Limit: 15 * time.Minute, Contact: &contact}
		for began = time.Now(); p.Lasts(errAway); time.Sleep(time.Second) {
		}
		if took := time.Since(began); took < 15*time.Minute {
			t.Errorf("a store that has answered once is given up after %v", took)
		}
	})
}

func TestASuccessRestoresPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var contact overhttp.Contact
		contact.Made()
		p := overhttp.Patience{Limit: time.Minute, Contact: &contact}
		for range 10 {
			if !p.Lasts(errAway) {
				t.Fatal("given up although it works in between")
			}
			time.Sleep(50 * time.Second)
			p.Worked()
		}
	})
}
