package sinks_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// TestChecksumsAreThoseThatStoresCompute goes by the check values of the catalogue of CRCs, and by SHA-256's own.
func TestChecksumsAreThoseThatStoresCompute(t *testing.T) {
	t.Parallel()
	for algorithm, want := range map[sinks.ChecksumAlgorithm]string{
		sinks.CRC32: "cbf43926", sinks.CRC32C: "e3069283", sinks.CRC64NVME: "ae8b14860a799888",
		sinks.SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		h := sinks.Checksum{Algorithm: algorithm}.New()
		for _, piece := range []string{"1234", "", "56789"} {
			_, _ = h.Write([]byte(piece))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s of the digits is %s, want %s", algorithm, got, want)
		}
	}
	if h := (sinks.Checksum{Algorithm: "moon", PartSize: 5}).New(); h != nil {
		t.Errorf("there is a way to compute what nobody knows: %T", h)
	}
}

func TestAChecksumOfPartsIsOfTheirChecksums(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("0123456789"), 10)
	for each, parts := range map[int64][]int{40: {0, 40, 80, 100}, 50: {0, 50, 100}, 100: {0, 100}, 1000: {0, 100}} {
		whole, sum := sha256.New(), crc32.NewIEEE()
		for i, from := range parts[:len(parts)-1] {
			part := sha256.Sum256(body[from:parts[i+1]])
			whole.Write(part[:])
			crc := crc32.ChecksumIEEE(body[from:parts[i+1]])
			sum.Write([]byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)})
		}
		for algorithm, want := range map[sinks.ChecksumAlgorithm][]byte{sinks.SHA256: whole.Sum(nil), sinks.CRC32: sum.Sum(nil)} {
			for _, step := range []int{1, 7, 40, 100} { // however it is written
				c := sinks.Checksum{Size: 100, Algorithm: algorithm, PartSize: each, Sum: want}
				h := c.New()
				for from := 0; from < len(body); from += step {
					_, _ = h.Write(body[from:min(from+step, len(body))])
				}
				if got := h.Sum(nil); !c.Matches(100, got) || c.Matches(99, got) {
					t.Errorf("%s, parts of %d, written by %d: %x, want %x", c, each, step, got, want)
				}
			}
		}
	}
}

func TestASinkWithoutChecksumsSaysSo(t *testing.T) {
	t.Parallel()
	only := struct{ sinks.Sink }{mem.New()}
	var e *sinks.Error
	if _, err := sinks.ChecksumOf(t.Context(), only, "a"); !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &e) || e.Key != "a" {
		t.Errorf("it says %v", err)
	}
}
