package child

import (
	"runtime/metrics"
	"time"
)

const memoryInterval = 20 * time.Millisecond

// GuardMemory looks every 20 ms how much memory this process takes, mapped files apart, and calls exceeded from another goroutine, once, when that is more
// than limit bytes. stop ends it, has to be called once, and does not wait.
func GuardMemory(limit int64, exceeded func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		used := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		for {
			select {
			case <-done:
				return
			case <-time.After(memoryInterval):
			}
			metrics.Read(used)
			if int64(used[0].Value.Uint64()-used[1].Value.Uint64()) > limit {
				exceeded()
				return
			}
		}
	}()
	return func() { close(done) }
}
