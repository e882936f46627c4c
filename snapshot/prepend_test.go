package snapshot

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// TestACRCFromTheEndIsThatFromTheBeginning cuts a text in many ways, into parts that fill batches by their bytes and by their number,
// none, and some that are empty.
func TestACRCFromTheEndIsThatFromTheBeginning(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 3*batchBytes+5)
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	for _, c := range []struct{ size, longest int }{
		{0, 1}, {1, 1}, {2, 1}, {100, 7}, {3 * batchParts, 2}, {len(text), 4000}, {len(text), batchBytes}, {len(text), 2 * batchBytes}, {len(text), len(text)},
	} {
		p := newPrepender()
		for end := c.size; end > 0; {
			n := min(r.IntN(c.longest+1), end)
			p.prepend(text[end-n : end])
			end -= n
		}
		want := crc32.Checksum(text[:c.size], table)
		if got := p.end(); got != want || p.end() != want || p.size != int64(c.size) {
			t.Errorf("%d bytes in parts of up to %d: %08x of %d bytes, want %08x", c.size, c.longest, got, p.size, want)
		}
	}
}
