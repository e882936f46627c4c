package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/internal/disk"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// counted is a sink that notes where it was opened, and how many readers are open. At a byte it may fail, or do something.
type counted struct {
	sinks.Sink
	fails int64 // the first byte that cannot be read; 0 for none
	why   error
	do    func() // when it fails

	mu    sync.Mutex
	offs  []int64
	opens int
}

func (c *counted) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	body, err := c.Sink.Open(ctx, key, off)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offs = append(c.offs, off)
	c.opens++
	return &countedBody{body, c, ctx, off}, nil
}

type countedBody struct {
	io.ReadCloser
	of  *counted
	ctx context.Context
	at  int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	if left := b.of.fails - b.at; b.of.fails > 0 && left >= 0 && left < int64(len(p)) {
		if left == 0 {
			if b.of.do != nil {
				b.of.do()
			}
			return 0, b.of.why
		}
		p = p[:left]
	}
	n, err := b.ReadCloser.Read(p)
	b.at += int64(n)
	return n, err
}

func (b *countedBody) Close() error {
	b.of.mu.Lock()
	defer b.of.mu.Unlock()
	b.of.opens--
	return b.ReadCloser.Close()
}

// TestASlowObjectIsReadInRanges holds what each way of reading gives, and that every reader is closed when it is over.
func TestASlowObjectIsReadInRanges(t *testing.T) {
	t.Parallel()
	data := make([]byte, 9*disk.WritePart+7)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	digest := sha256.Sum256(data)
	right := hex.EncodeToString(digest[:])
	boom := errors.New("boom")
	slow, ordinary := haste{ranges: 4, least: disk.WritePart}, ordinaryHaste()
	ordinary.after = time.Hour
	size := int64(len(data))
	step := (size - disk.WritePart) / 4
	inRanges := []int64{0, disk.WritePart + step, disk.WritePart + 2*step, disk.WritePart + 3*step}
	for name, c := range map[string]struct {
		how  haste
		data []byte
		fail int64
		why  error
		stop bool
		want error
		offs []int64
	}{
		"fast":                 {how: ordinary, data: data, offs: []int64{0}},
		"slow":                 {how: slow, data: data, offs: inRanges},
		"too small":            {how: haste{ranges: 4, least: size}, data: data, offs: []int64{0}},
		"room for two":         {how: haste{ranges: 4, least: size / 3}, data: data, offs: []int64{0, disk.WritePart + (size-disk.WritePart)/2}},
		"fails at once":        {how: slow, data: data, fail: 1, why: boom, want: boom},
		"fails in a range":     {how: slow, data: data, fail: inRanges[2] + 5, why: boom, want: boom},
		"fails at its end":     {how: slow, data: data, fail: size - 1, why: boom, want: boom},
		"ends in a range":      {how: slow, data: data, fail: inRanges[1] + 5, why: io.EOF, want: catalog.ErrDamaged},
		"one byte short":       {how: slow, data: data[:size-1], want: catalog.ErrDamaged},
		"short of a range":     {how: slow, data: data[:inRanges[2]+1], want: catalog.ErrDamaged},
		"one byte long":        {how: slow, data: append(bytes.Clone(data), 0), want: catalog.ErrDamaged},
		"one byte long, fast":  {how: ordinary, data: append(bytes.Clone(data), 0), want: catalog.ErrDamaged},
		"one byte short, fast": {how: ordinary, data: data[:size-1], want: catalog.ErrDamaged},
		"cancelled":            {how: slow, data: data, fail: inRanges[3] + 5, why: io.ErrUnexpectedEOF, stop: true, want: boom},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst, err := os.Create(filepath.Join(t.TempDir(), "dst"))
			if err != nil {
				t.Fatal(err)
			}
			defer dst.Close()
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			m := mem.New()
			put(t, m, "key", c.data)
			sink := &counted{Sink: m, fails: c.fail, why: c.why}
			if c.stop {
				sink.do = func() { stop(boom) }
			}
			var mu sync.Mutex
			moved := int64(0)
			d := &download{sink: sink, key: "key", size: size, dst: dst, how: c.how, moved: func(n int64) {
				mu.Lock()
				defer mu.Unlock()
				moved += n
			}}
			sum, err := d.run(ctx)
			if err != nil && ctx.Err() != nil {
				err = context.Cause(ctx) // as fetch does
			}
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if sink.opens != 0 {
				t.Errorf("%d readers are still open", sink.opens)
			}
			if c.want != nil {
				return
			}
			slices.Sort(sink.offs)
			if sum != right || moved != size || !slices.Equal(sink.offs, c.offs) {
				t.Errorf("SHA-256 %s, %d bytes, read from %v on, want %v", sum, moved, sink.offs, c.offs)
			}
			if got, err := os.ReadFile(dst.Name()); err != nil || !bytes.Equal(got, data) {
				t.Errorf("the file is another: %v", err)
			}
		})
	}
}
