package catalog

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// crowd is a store that holds a great many notes of somebody else, as long as notes may be, which take no memory here.
type crowd struct {
	*mem.Sink
	keys []string
	text string

	mu   sync.Mutex
	left int    // of the notes that were not yet asked for
	heap uint64 // bytes in use when the last one was
}

func (c *crowd) List(_ context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	return func(yield func(sinks.Object, error) bool) {
		for _, key := range c.keys {
			if strings.HasPrefix(key, prefix) && !yield(sinks.Object{Key: key, Size: int64(len(c.text))}, nil) {
				return
			}
		}
	}
}

func (c *crowd) Open(context.Context, string, int64) (io.ReadCloser, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		c.heap = heapInUse()
	}
	return io.NopCloser(strings.NewReader(c.text)), nil
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestNotesOfNobodyWhoIsTrustedTakeNoMemory: who can write into a sink must not be able to end whoever lists it by a few thousand objects. It runs alone,
// because it looks at the memory of the process.
func TestNotesOfNobodyWhoIsTrustedTakeNoMemory(t *testing.T) {
	const many = 400
	k := newKey(t, "prod")
	for name, tail := range map[string]string{
		"signed by a stranger":          "\n— " + strings.Repeat("n", maxNote/2) + " AAAAAAAA\n",
		"with a signature that is none": "\n— " + k.signer.Name() + " " + strings.Repeat("!", maxNote/2) + "\n",
		"signed by nobody":              "",
	} {
		for _, kind := range []string{"manifests", "marks"} {
			c := &crowd{Sink: mem.New(), left: many}
			c.text = strings.Repeat("x", maxNote-2-len(tail)) + "\n" + tail
			for i := range many {
				at := day0().Add(time.Duration(i) * time.Minute)
				id := ID(fmt.Sprintf("%s-r7-%06x", at.Format(idTime), i))
				key := ManifestKey("prod", id)
				if kind == "marks" {
					key = MarkKey("prod", id, at, MarkHold)
				}
				c.keys = append(c.keys, key)
			}
			before := heapInUse()
			l, err := List(t.Context(), []Named{{"mem:", c}}, "prod", k.trust)
			if err != nil || len(l.Entries) != 0 || len(l.Problems)+l.IgnoredMarks != many {
				t.Fatalf("%s, %s: %d entries, %d problems, %d marks ignored, %v", kind, name, len(l.Entries), len(l.Problems), l.IgnoredMarks, err)
			}
			if after := heapInUse(); max(c.heap, after) > before+many*maxNote/4 {
				t.Errorf("%s, %s: %d MiB are held while they are read, and %d after", kind, name, (c.heap-before)>>20, (after-before)>>20)
			}
			runtime.KeepAlive(l)
		}
	}
}
