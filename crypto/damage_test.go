package crypto

import (
	"bytes"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// long reports whether the counts are run in full rather than as a seeded part.
func long() bool { return os.Getenv("LIFEBOAT_TEST_LONG") == "1" }

// A tally counts how damaged files were refused.
type tally struct {
	mu                           sync.Mutex
	cases, damaged, noID, byBoth int
}

// refuse checks that a damaged copy is refused on every way, and counts it.
func (c *tally) refuse(t *testing.T, what string, at int, copied []byte, p pair, s *Seal) {
	t.Helper()
	_, _, err := openAll(bytes.NewReader(copied), []age.Identity{p.id}, s.Plain.Size)
	verr := s.Verify(bytes.NewReader(copied))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cases++
	switch {
	case errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoIdentity):
		c.damaged++
	case errors.Is(err, ErrNoIdentity) && !errors.Is(err, ErrDamaged):
		c.noID++
	default:
		t.Errorf("%s at %d: open says %v", what, at, err)
	}
	if errors.Is(verr, ErrDamaged) {
		c.byBoth++
	} else {
		t.Errorf("%s at %d: verify says %v", what, at, verr)
	}
}

// flips tries single-bit flips: all of them, or a seeded share.
func (c *tally) flips(t *testing.T, sealed []byte, p pair, s *Seal, share float64) {
	t.Helper()
	r := mathrand.New(mathrand.NewPCG(3, 4))
	copied := bytes.Clone(sealed)
	for bit := range len(sealed) * 8 {
		if share < 1 && r.Float64() >= share {
			continue
		}
		copied[bit/8] ^= 1 << (bit % 8)
		c.refuse(t, "bit flip", bit, copied, p, s)
		copied[bit/8] ^= 1 << (bit % 8)
	}
}

func (c *tally) truncations(t *testing.T, sealed []byte, p pair, s *Seal, share float64) {
	t.Helper()
	r := mathrand.New(mathrand.NewPCG(5, 6))
	for n := range sealed {
		if share < 1 && r.Float64() >= share {
			continue
		}
		c.refuse(t, "truncation", n, sealed[:n], p, s)
	}
}

func TestEveryBitFlipAndTruncationIsRefused(t *testing.T) {
	t.Parallel()
	share := func(usual float64) float64 {
		if long() {
			return 1
		}
		return usual
	}
	for name, c := range map[string]struct {
		classic bool
		size    int
		share   float64
	}{
		"classic, one chunk":    {true, int(500 + 2500*share(0)), 1},
		"hybrid, one chunk":     {false, 300, share(0.1)},
		"classic, three chunks": {true, 200_000, 0.001 * share(0.3)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c.classic)
			sealed, s := seal(t, content(c.size), p.to)
			var flips, cuts tally
			flips.flips(t, sealed, p, s, c.share)
			cuts.truncations(t, sealed, p, s, c.share)
			for _, n := range []int{1, 15, 16, 65536, 65552, len(sealed)} { // where age's chunks and their tags end
				for _, n := range []int{n, len(sealed) - n} {
					if n >= 0 && n < len(sealed) {
						cuts.refuse(t, "truncation", n, sealed[:n], p, s)
					}
				}
			}
			t.Logf("%d bytes: %d single-bit flips refused (%d as damaged, %d as another's key; %d of them by the read-back), %d truncations refused (%d, %d; %d)",
				len(sealed), flips.cases, flips.damaged, flips.noID, flips.byBoth, cuts.cases, cuts.damaged, cuts.noID, cuts.byBoth)
			if flips.byBoth != flips.cases || cuts.damaged != cuts.cases || c.share == 1 && flips.cases != len(sealed)*8 {
				t.Errorf("not every case was refused: %+v %+v", &flips, &cuts)
			}
		})
	}
}

func TestUnencryptedDamageIsRefusedOrHarmlessAndAlwaysSeenByTheReadBack(t *testing.T) {
	t.Parallel()
	plain := content(700)
	var out bytes.Buffer
	s, err := SealPlain(&out, bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	frame := out.Bytes()
	refused, harmless := 0, 0
	try := func(what string, at int, copied []byte) {
		got, err := io.ReadAll(mustOpenPlain(t, copied, len(plain)))
		switch {
		case errors.Is(err, ErrDamaged):
			refused++
		case err == nil && bytes.Equal(got, plain): // the frame's header allows two ways of saying it
			harmless++
		default:
			t.Errorf("%s at %d: %d bytes, %v", what, at, len(got), err)
		}
		if err := s.Verify(bytes.NewReader(copied)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s at %d: verify says %v", what, at, err)
		}
	}
	for bit := range len(frame) * 8 {
		copied := bytes.Clone(frame)
		copied[bit/8] ^= 1 << (bit % 8)
		try("bit flip", bit, copied)
	}
	for n := range frame {
		try("truncation", n, frame[:n])
	}
	t.Logf("%d bit flips and %d truncations: %d refused, %d opened to the same content", len(frame)*8, len(frame), refused, harmless)
}

func TestAnythingBesideOneFrameIsDamage(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	plain := content(200_000)
	frame := z.EncodeAll(plain, nil)
	skippable := "\x50\x2a\x4d\x18\x04\x00\x00\x00spam"
	compress := func(o ...zstd.EOption) string {
		w, err := zstd.NewWriter(nil, append(o, zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(false))...)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w.Reset(&b)
		for range 80 { // a stream, so that the window counts
			_, _ = w.Write(plain)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, inner := range map[string]string{
		"nothing":          "",
		"no frame":         "etcd etcd etcd etcd",
		"two frames":       string(frame) + string(frame),
		"empty frame more": string(frame) + string(z.EncodeAll(nil, nil)),
		"garbage behind":   string(frame) + "x",
		"zeros behind":     string(frame) + strings.Repeat("\x00", 512),
		"skippable behind": string(frame) + skippable,
		"skippable before": skippable + string(frame),
		"skippable only":   skippable,
		"cut in a block":   string(frame[:len(frame)/2]),
		"cut in header":    string(frame[:5]),
		"without checksum": compress(zstd.WithEncoderCRC(false)),
		"cut checksum":     string(frame[:len(frame)-1]),
		"wrong checksum":   string(frame[:len(frame)-1]) + string(^frame[len(frame)-1]),
		"window too large": compress(zstd.WithWindowSize(64 << 20)),
		"too long":         compress(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := io.ReadAll(mustOpenPlain(t, []byte(inner), len(plain))); !errors.Is(err, ErrDamaged) {
				t.Errorf("unencrypted: %v", err)
			}
			var sealed bytes.Buffer
			w, err := age.Encrypt(&sealed, p.to.key)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(w, inner)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := openAll(bytes.NewReader(sealed.Bytes()), []age.Identity{p.id}, int64(len(plain))); !errors.Is(err, ErrDamaged) {
				t.Errorf("encrypted: %v", err)
			}
		})
	}
	if got, err := io.ReadAll(mustOpenPlain(t, frame, len(plain))); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the frame these are made of: %v", err)
	}
}

func TestDataBehindTheSealedFileIsDamage(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	for _, size := range []int{0, 100, 65_536} {
		plain := make([]byte, size)
		mathrand.NewChaCha8([32]byte{}).Read(plain)
		sealed, s := seal(t, plain, p.to)
		other, _ := seal(t, plain, p.to)
		for name, more := range map[string][]byte{"a byte": {0}, "itself": sealed, "another": other, "a page": make([]byte, 70_000)} {
			longer := append(bytes.Clone(sealed), more...)
			if _, _, err := openAll(bytes.NewReader(longer), []age.Identity{p.id}, 1<<20); !errors.Is(err, ErrDamaged) {
				t.Errorf("size %d, %s: open: %v", size, name, err)
			}
			if err := s.Verify(bytes.NewReader(longer)); !errors.Is(err, ErrDamaged) {
				t.Errorf("size %d, %s: verify: %v", size, name, err)
			}
		}
		// Not damaged at all, and sealed to the same key: but another file.
		if err := s.Verify(bytes.NewReader(other)); !errors.Is(err, ErrDamaged) {
			t.Errorf("verify takes another file for this one: %v", err)
		}
	}
}

func TestABombIsDefusedAtTheLimit(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	sealed, _ := seal(t, make([]byte, 64<<20), p.to)
	for _, limit := range []int64{0, 1, 1 << 20, 64<<20 - 1} {
		n, _, err := openAllDiscard(bytes.NewReader(sealed), p.id, limit)
		if !errors.Is(err, ErrDamaged) || n > limit {
			t.Errorf("limit %d: %d bytes came, %v", limit, n, err)
		}
	}
	if n, _, err := openAllDiscard(bytes.NewReader(sealed), p.id, 64<<20); err != nil || n != 64<<20 {
		t.Errorf("exactly at the limit: %d bytes, %v", n, err)
	}
	t.Logf("the bomb: %d bytes that open to %d", len(sealed), 64<<20)
}

func TestPluginTroubleIsNotDamage(t *testing.T) {
	t.Parallel()
	sealed, _ := seal(t, content(10), newPair(t, true).to)
	trouble := errors.New("the token wants a touch")
	_, err := Open(bytes.NewReader(sealed), []age.Identity{failing{trouble}}, 10)
	if !errors.Is(err, trouble) || errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

// failing is an identity with troubles of its own.
type failing struct{ err error }

func (f failing) Unwrap([]*age.Stanza) ([]byte, error) { return nil, f.err }

func FuzzOpenPlain(f *testing.F) {
	for _, size := range []int{0, 1, 1000, 200_000} {
		var out bytes.Buffer
		if _, err := SealPlain(&out, bytes.NewReader(content(size))); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := OpenPlain(bytes.NewReader(data), 1<<20)
		if err == nil {
			_, err = io.Copy(io.Discard, o)
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("neither opened nor damaged: %v", err)
		}
		if o != nil && o.Plain().Size > 1<<20 {
			t.Errorf("%d bytes", o.Plain().Size)
		}
	})
}
