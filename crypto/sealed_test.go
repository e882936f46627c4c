package crypto

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// content makes n bytes, the half of which compress.
func content(n int) []byte {
	b := make([]byte, n)
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for i := range b {
		if i/64%2 == 0 {
			b[i] = byte(r.Uint32())
		} else {
			b[i] = "registry"[i%8]
		}
	}
	return b
}

func seal(t testing.TB, plain []byte, to ...Recipient) ([]byte, *Seal) {
	t.Helper()
	var out bytes.Buffer
	s, err := SealTo(&out, bytes.NewReader(plain), to)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), s
}

// openAll opens and reads to the end, as a restore does.
func openAll(sealed io.Reader, ids []age.Identity, limit int64) ([]byte, *Opened, error) {
	o, err := Open(sealed, ids, limit)
	if err != nil {
		return nil, nil, err
	}
	plain, err := io.ReadAll(o)
	return plain, o, err
}

func TestSealedFilesOpenForEveryRecipientOnly(t *testing.T) {
	t.Parallel()
	for _, classic := range []bool{true, false} {
		a, b, other := newPair(t, classic), newPair(t, classic), newPair(t, classic)
		for _, size := range []int{0, 1, 511, 64 << 10, 128<<10 + 1, 3 << 20} {
			plain := content(size)
			sealed, s := seal(t, plain, a.to, b.to)
			for _, p := range []pair{a, b} {
				got, o, err := openAll(bytes.NewReader(sealed), []age.Identity{other.id, p.id}, int64(size))
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("size %d: %d bytes, %v", size, len(got), err)
				}
				if o.Fingerprint() != p.to.Fingerprint() {
					t.Errorf("opened by %q, want %q", o.Fingerprint(), p.to.Fingerprint())
				}
				if o.Plain() != s.Plain {
					t.Errorf("plain %v, want %v", o.Plain(), s.Plain)
				}
			}
			d := newDigester()
			_, _ = d.Write(sealed)
			if s.Sealed != d.digest() || s.Plain.Size != int64(size) || s.Compression != "zstd" {
				t.Errorf("size %d: seal says %+v", size, s)
			}
			if diff := cmp.Diff([]string{a.to.Fingerprint(), b.to.Fingerprint()}, s.Fingerprints); diff != "" {
				t.Error(diff)
			}
			if stanza := map[bool]string{true: "X25519", false: "mlkem768x25519"}[classic]; len(s.Stanzas) != 2 || s.Stanzas[1] != stanza {
				t.Errorf("stanzas %q", s.Stanzas)
			}
			for range 2 {
				if err := s.Verify(bytes.NewReader(sealed)); err != nil {
					t.Errorf("size %d: verify: %v", size, err)
				}
			}
		}
	}
}

func TestWrongIdentityTellsWhatIsWanted(t *testing.T) {
	t.Parallel()
	a, b := newPair(t, false), newPair(t, true)
	sealed, _ := seal(t, content(100), a.to)
	for _, ids := range [][]age.Identity{nil, {b.id}, {b.id, newPair(t, false).id}} {
		_, err := Open(bytes.NewReader(sealed), ids, 100)
		var none *NoIdentityError
		if !errors.As(err, &none) || !errors.Is(err, ErrNoIdentity) || errors.Is(err, ErrDamaged) {
			t.Fatalf("%d identities: %v", len(ids), err)
		}
		if diff := cmp.Diff([]string{"mlkem768x25519"}, none.Stanzas); diff != "" {
			t.Error(diff)
		}
		if len(none.Tried) != len(ids) || len(ids) > 0 && none.Tried[0] != b.to.Fingerprint() {
			t.Errorf("tried %q", none.Tried)
		}
	}
}

func TestFilesUnderAPassphraseAreRefusedWithoutTrying(t *testing.T) {
	t.Parallel()
	to, err := age.NewScryptRecipient("correct")
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(10)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	id, err := age.NewScryptIdentity("correct")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(&sealed, []age.Identity{id}, 100)
	var none *NoIdentityError
	if !errors.As(err, &none) || none.Stanzas[0] != "scrypt" {
		t.Errorf("got %v", err)
	}
}

func TestSealingToNobodyIsAnError(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if _, err := SealTo(&out, strings.NewReader("x"), nil); err == nil || out.Len() > 0 {
		t.Errorf("sealed to nobody: %d bytes, %v", out.Len(), err)
	}
}

func TestMixedRecipientsCannotBeSealedToEvenIfTheyGetThisFar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	classic, hybrid := newPair(t, true).to, newPair(t, false).to
	for _, to := range [][]Recipient{{classic, hybrid}, {hybrid, classic}} {
		if _, err := SealTo(&out, strings.NewReader("x"), to); err == nil {
			t.Error("sealed to a classic and a hybrid recipient")
		}
	}
}

func TestUnencryptedFilesAreOneZstdFrame(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 70_000, 3 << 20} {
		plain := content(size)
		var out bytes.Buffer
		s, err := SealPlain(&out, bytes.NewReader(plain))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(bytes.NewReader(out.Bytes())); err != nil {
			t.Error(err)
		}
		o, err := OpenPlain(bytes.NewReader(out.Bytes()), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, plain) || o.Plain() != s.Plain || o.Fingerprint() != "" {
			t.Errorf("size %d: %d bytes, %v, by %q", size, len(got), err, o.Fingerprint())
		}
		if s.Stanzas != nil || s.Fingerprints != nil {
			t.Errorf("an unencrypted seal names %q %q", s.Stanzas, s.Fingerprints)
		}
		s.Forget()
		sealed, _ := seal(t, plain, newPair(t, true).to)
		if _, err := OpenPlain(bytes.NewReader(sealed), int64(size)); !errors.Is(err, ErrDamaged) {
			// zstd may look at the frame only when it is read
			if _, err := io.ReadAll(mustOpenPlain(t, sealed, size)); !errors.Is(err, ErrDamaged) {
				t.Errorf("an encrypted file opened as an unencrypted one: %v", err)
			}
		}
	}
}

func mustOpenPlain(t *testing.T, sealed []byte, limit int) *Opened {
	t.Helper()
	o, err := OpenPlain(bytes.NewReader(sealed), int64(limit))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNothingOfThePlaintextShowsInTheSealedFile(t *testing.T) {
	t.Parallel()
	plain := make([]byte, 4096) // random, so that zstd keeps it as it is
	_, _ = rand.Read(plain)
	shows := func(sealed []byte) (n int) {
		for i := 0; i+8 <= len(plain); i++ {
			if bytes.Contains(sealed, plain[i:i+8]) {
				n++
			}
		}
		return n
	}
	sealed, s := seal(t, plain, newPair(t, true).to)
	if n := shows(sealed); n > 0 {
		t.Errorf("%d pieces of the plaintext show", n)
	}
	if bytes.Contains(sealed, s.tap.key) {
		t.Error("the file key shows")
	}
	var open bytes.Buffer
	if _, err := SealPlain(&open, bytes.NewReader(plain)); err != nil {
		t.Fatal(err)
	}
	if shows(open.Bytes()) == 0 {
		t.Error("the search finds nothing where there is something")
	}
}

func TestPrintingASealShowsNoKey(t *testing.T) {
	t.Parallel()
	_, s := seal(t, content(10), newPair(t, true).to)
	key := s.tap.key
	for _, format := range []string{"%v", "%+v", "%#v", "%x", "%d"} {
		for _, value := range []any{s, *s} {
			text := fmt.Sprintf(format, value)
			for _, shown := range []string{fmt.Sprint(key)[1:20], fmt.Sprintf("%x", key), fmt.Sprintf("%#v", key[:4])[8:20]} {
				if strings.Contains(text, shown) {
					t.Errorf("%s shows the file key", format)
				}
			}
		}
	}
	s.Forget()
	s.Forget()
	if !bytes.Equal(key, make([]byte, len(key))) {
		t.Error("the file key is still in memory after Forget")
	}
	if err := s.Verify(strings.NewReader("")); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("verify after Forget: %v", err)
	}
}

func TestWhatSealedCanBeReadByStockLibraries(t *testing.T) {
	t.Parallel()
	for _, classic := range []bool{true, false} {
		p := newPair(t, classic)
		plain := content(9 << 20)
		sealed, _ := seal(t, plain, p.to)
		r, err := age.Decrypt(bytes.NewReader(sealed), p.id)
		if err != nil {
			t.Fatal(err)
		}
		frame, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		var h zstd.Header
		if err := h.Decode(frame); err != nil || h.WindowSize > maxWindow || !h.HasCheckSum {
			t.Errorf("zstd header %+v, %v", h, err)
		}
		z, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := z.DecodeAll(frame, nil); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("zstd gave %d bytes: %v", len(got), err)
		}
		z.Close()
	}
}

func TestATroubledSourceOrDestinationLeavesNothingThatOpens(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	broken := errors.New("the disk is gone")
	for _, size := range []int{0, 10, 300 << 10, 2 << 20} {
		var out, plainOut bytes.Buffer
		_, err := SealTo(&out, io.MultiReader(bytes.NewReader(content(size)), iotest.ErrReader(broken)), []Recipient{p.to})
		if !errors.Is(err, broken) {
			t.Errorf("size %d: source: %v", size, err)
		}
		if _, _, err := openAll(&out, []age.Identity{p.id}, 1<<30); !errors.Is(err, ErrDamaged) {
			t.Errorf("size %d: what an interrupted sealing left opens: %v", size, err)
		}
		if _, err := SealPlain(&plainOut, io.MultiReader(bytes.NewReader(content(size)), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("size %d: source, unencrypted: %v", size, err)
		}
		if _, err := io.ReadAll(mustOpenPlain(t, plainOut.Bytes(), 1<<30)); !errors.Is(err, ErrDamaged) {
			t.Errorf("size %d: what an interrupted compression left opens: %v", size, err)
		}
	}
	whole, _ := seal(t, content(1<<20), p.to)
	for n := 0; n < len(whole); n += 1 + len(whole)/20 {
		if _, err := SealTo(&full{n, broken}, bytes.NewReader(content(1<<20)), []Recipient{p.to}); !errors.Is(err, broken) {
			t.Errorf("destination full after %d bytes: %v", n, err)
		}
	}
}

// full fails after room bytes.
type full struct {
	room int
	err  error
}

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestABrokenConnectionIsNotABrokenFile(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	sealed, s := seal(t, content(200_000), p.to)
	for _, broken := range []error{errors.New("connection reset"), io.ErrUnexpectedEOF} {
		for n := 0; n <= len(sealed); n += 1 + len(sealed)/50 {
			half := func() io.Reader { return io.MultiReader(bytes.NewReader(sealed[:n]), iotest.ErrReader(broken)) }
			_, _, err := openAll(half(), []age.Identity{p.id}, 1<<30)
			for who, err := range map[string]error{"open": err, "verify": s.Verify(half())} {
				if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
					t.Errorf("%s, broken after %d bytes: %v", who, n, err)
				}
			}
		}
	}
}

func TestSealingAndOpeningTakeBoundedMemory(t *testing.T) {
	p := newPair(t, false)
	const size = 192 << 20
	var peak uint64
	watch := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse+m.StackInuse)
	}
	pr, pw := io.Pipe()
	var s *Seal
	go func() {
		var err error
		s, err = SealTo(pw, &watched{r: &endless{left: size}, every: 4 << 20, f: watch}, []Recipient{p.to})
		pw.CloseWithError(err)
	}()
	_, o, err := openAllDiscard(pr, p.id, size)
	if err != nil || o.Plain().Size != size || o.Plain() != s.Plain {
		t.Fatalf("%v, %v", o, err)
	}
	t.Logf("sealing and opening %d MiB at once took at most %d MiB of memory", size>>20, peak>>20)
	if peak > 100<<20 {
		t.Errorf("peak memory %d MiB", peak>>20)
	}
}

func openAllDiscard(r io.Reader, id age.Identity, limit int64) (int64, *Opened, error) {
	o, err := Open(r, []age.Identity{id}, limit)
	if err != nil {
		return 0, nil, err
	}
	n, err := io.Copy(io.Discard, o)
	return n, o, err
}

// endless gives text that compresses a little, without holding it.
type endless struct {
	left int
	n    int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(len(p), e.left)]
	for i := 0; i < len(p); {
		e.n++
		i += copy(p[i:], big.NewInt(e.n*e.n*7919).Text(36)+"/registry/pods/")
	}
	e.left -= len(p)
	return len(p), nil
}

// watched calls f whenever so many bytes have passed.
type watched struct {
	r              io.Reader
	every, pending int
	f              func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.pending += n; w.pending >= w.every {
		w.pending = 0
		w.f()
	}
	return n, err
}
