package conform_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform"
	"github.com/lifeboat-dr/lifeboat/sinks/mem"
)

// part is what conform takes for the part size of a sink that does not tell one.
const part = 1 << 20

// A broken sink works except for what is overridden. key, where set, bends the keys of all calls.
type broken struct {
	good   *mem.Sink
	put    func(ctx context.Context, key string, body io.ReaderAt, size int64) error
	open   func(ctx context.Context, key string, off int64) (io.ReadCloser, error)
	list   func(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error]
	remove func(ctx context.Context, key string) error
}

func (b *broken) Put(ctx context.Context, key string, body io.ReaderAt, size int64) error {
	if b.put != nil {
		return b.put(ctx, key, body, size)
	}
	return b.good.Put(ctx, key, body, size)
}

func (b *broken) Open(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	if b.open != nil {
		return b.open(ctx, key, off)
	}
	return b.good.Open(ctx, key, off)
}

func (b *broken) List(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
	if b.list != nil {
		return b.list(ctx, prefix)
	}
	return b.good.List(ctx, prefix)
}

func (b *broken) Delete(ctx context.Context, key string) error {
	if b.remove != nil {
		return b.remove(ctx, key)
	}
	return b.good.Delete(ctx, key)
}

// A breakage is one way to break the contract, and the checks that must notice it.
type breakage struct {
	name     string
	make     func(b *broken)
	caughtBy []string
}

func TestEveryCheckCatchesItsKindOfBreakage(t *testing.T) {
	t.Parallel()
	checks := map[string]sinks.Check{}
	for _, c := range conform.Checks() {
		checks[c.Name] = c
	}
	caught := map[string]int{}
	for _, breakage := range slices.Concat(putBreakages(), failureBreakages(), openBreakages(), listBreakages(), deleteBreakages(), keyBreakages()) {
		for _, name := range breakage.caughtBy {
			check, ok := checks[name]
			if !ok {
				t.Errorf("%s: there is no check %q", breakage.name, name)
				continue
			}
			caught[name]++
			t.Run(breakage.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := &broken{good: mem.New()}
				breakage.make(b)
				err := check.Run(t.Context(), b, "p/")
				if err == nil {
					t.Error("was not noticed")
				} else if strings.HasPrefix(err.Error(), "cleaning up") {
					t.Errorf("was noticed only by accident: %v", err)
				}
			})
		}
	}
	for name := range checks {
		if caught[name] == 0 {
			t.Errorf("nothing shows that the check %q can fail", name)
		}
	}
}

// cuts makes a sink that loses the last byte of some objects, and adds one to empty ones.
func cuts(which func(key string, size int64) bool) func(*broken) {
	return func(b *broken) {
		b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
			switch {
			case size == 0 && which(key, size):
				return b.good.Put(ctx, key, strings.NewReader("x"), 1)
			case which(key, size):
				size--
			}
			return b.good.Put(ctx, key, body, size)
		}
	}
}

func ofSize(want int64) func(string, int64) bool {
	return func(_ string, size int64) bool { return size == want }
}

// replaces makes a sink that overwrites with objects of at least some size.
func replaces(from int64) func(*broken) {
	return func(b *broken) {
		b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
			err := b.good.Put(ctx, key, body, size)
			for size >= from && errors.Is(err, fs.ErrExist) {
				if err := b.good.Delete(ctx, key); err != nil {
					return err
				}
				err = b.good.Put(ctx, key, body, size)
			}
			return err
		}
	}
}

func putBreakages() []breakage {
	return []breakage{
		{"small objects are cut", cuts(ofSize(10)), []string{"a small object"}},
		{"empty objects are not empty", cuts(ofSize(0)), []string{"an object of 0 bytes"}},
		{"a part less a byte is cut", cuts(ofSize(part - 1)), []string{"an object of a part less a byte"}},
		{"one part is cut", cuts(ofSize(part)), []string{"an object of exactly one part"}},
		{"a part and a byte is cut", cuts(ofSize(part + 1)), []string{"an object of a part and a byte"}},
		{"many parts are cut", cuts(ofSize(2*part + part/2 + 1)), []string{"an object of several parts"}},
		{"the second of two puts is cut", cuts(func(key string, _ int64) bool { return strings.HasSuffix(key, "two") }), []string{"one body under two keys at once"}},
		{"puts replace", replaces(0), []string{"a put does not replace", "a put does not replace by the same", "of eight racing puts one wins"}},
		{"puts in parts replace", replaces(part + 1), []string{"a put in parts does not replace", "of eight racing puts in parts one wins"}},
		{"equal puts are taken for retries", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				err := b.good.Put(ctx, key, body, size)
				if errors.Is(err, fs.ErrExist) {
					return nil
				}
				return err
			}
		}, []string{"a put does not replace by the same", "of eight racing puts one wins"}},
		{"all racers lose", func(b *broken) {
			b.put = func(context.Context, string, io.ReaderAt, int64) error { return fs.ErrExist }
		}, []string{"of eight racing puts one wins", "of eight racing puts in parts one wins"}},
		{"more than size is read", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				n, _ := body.ReadAt(make([]byte, 1), size)
				return b.good.Put(ctx, key, body, size+int64(n))
			}
		}, []string{"bytes after the size are left out"}},
		{"negative sizes count as 0", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				return b.good.Put(ctx, key, body, max(size, 0))
			}
		}, []string{"a negative size is refused"}},
	}
}

func failureBreakages() []breakage {
	leavesWhatItRead := func(b *broken) {
		b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
			got, err := io.ReadAll(io.NewSectionReader(body, 0, size))
			if err == nil && int64(len(got)) < size {
				err = io.ErrUnexpectedEOF
			}
			return errors.Join(err, ctx.Err(), b.good.Put(context.WithoutCancel(ctx), key, bytes.NewReader(got), int64(len(got))))
		}
	}
	return []breakage{
		{"what was read before a failure is left", leavesWhatItRead, []string{
			"a body that fails at once leaves nothing", "a body that fails after the first part leaves nothing",
			"a body shorter than its size leaves nothing", "a put cancelled before it begins leaves nothing", "a put cancelled on its way leaves nothing",
		}},
		{"a failure of the body counts as its end", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				got, _ := io.ReadAll(io.NewSectionReader(body, 0, size))
				return b.good.Put(ctx, key, bytes.NewReader(got), int64(len(got)))
			}
		}, []string{
			"a body that fails at once leaves nothing", "a body that fails after the first part leaves nothing",
			"a body shorter than its size leaves nothing",
		}},
		{"the second reading is not what is stored", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				first, err := io.ReadAll(io.NewSectionReader(body, 0, size))
				if err != nil {
					return err
				}
				if err := b.good.Put(ctx, key, bytes.NewReader(first), size); err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, io.NewSectionReader(body, 0, size))
				return err
			}
		}, []string{"a body that fails when read again leaves nothing"}},
		{"puts ignore the context", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				return b.good.Put(context.WithoutCancel(ctx), key, body, size)
			}
		}, []string{"a put cancelled before it begins leaves nothing", "a put cancelled on its way leaves nothing"}},
		{"an unfinished object shows", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				if err := b.good.Put(ctx, key, bytes.NewReader(nil), 0); err != nil {
					return err
				}
				got := make([]byte, size)
				if _, err := body.ReadAt(got, 0); err != nil {
					return err
				}
				return errors.Join(b.good.Delete(ctx, key), b.good.Put(ctx, key, bytes.NewReader(got), size))
			}
		}, []string{"an object appears whole or not at all"}},
	}
}

func openBreakages() []breakage {
	opens := func(open func(b *broken, ctx context.Context, key string, off int64) (io.ReadCloser, error)) func(*broken) {
		return func(b *broken) {
			b.open = func(ctx context.Context, key string, off int64) (io.ReadCloser, error) { return open(b, ctx, key, off) }
		}
	}
	return []breakage{
		{"offsets are ignored", opens(func(b *broken, ctx context.Context, key string, _ int64) (io.ReadCloser, error) {
			return b.good.Open(ctx, key, 0)
		}), []string{"opening in the middle", "opening at the end gives nothing", "opening past the end is refused", "several readers at once"}},
		{"the end is past the end", opens(func(b *broken, ctx context.Context, key string, off int64) (io.ReadCloser, error) {
			return b.good.Open(ctx, key, off+1)
		}), []string{"opening at the end gives nothing"}},
		{"missing objects are empty", opens(func(b *broken, ctx context.Context, key string, off int64) (io.ReadCloser, error) {
			r, err := b.good.Open(ctx, key, off)
			if errors.Is(err, fs.ErrNotExist) {
				return io.NopCloser(strings.NewReader("")), nil
			}
			return r, err
		}), []string{"opening what is not there", "deleting", "a deleted key can be put again"}},
		{"missing objects are forbidden", opens(func(b *broken, ctx context.Context, key string, off int64) (io.ReadCloser, error) {
			r, err := b.good.Open(ctx, key, off)
			if errors.Is(err, fs.ErrNotExist) {
				err = fs.ErrPermission
			}
			return r, err
		}), []string{"opening what is not there"}},
		{"the context is ignored", opens(func(b *broken, ctx context.Context, key string, off int64) (io.ReadCloser, error) {
			return b.good.Open(context.WithoutCancel(ctx), key, off)
		}), []string{"opening with an ended context", "reading ends with the context"}},
		{"closing early is an error", opens(func(b *broken, ctx context.Context, key string, off int64) (io.ReadCloser, error) {
			r, err := b.good.Open(ctx, key, off)
			return pedant{r}, err
		}), []string{"closing before the end"}},
	}
}

// A pedant wants to be read to the end.
type pedant struct{ io.ReadCloser }

func (p pedant) Close() error {
	if n, _ := io.Copy(io.Discard, p.ReadCloser); n > 0 {
		return fmt.Errorf("closed with %d bytes unread", n)
	}
	return nil
}

func listBreakages() []breakage {
	// bends makes a sink that gets its listings wrong in some way.
	bends := func(bend func(prefix string, found []sinks.Object) []sinks.Object) func(*broken) {
		return func(b *broken) {
			b.list = func(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
				return func(yield func(sinks.Object, error) bool) {
					var found []sinks.Object
					for o, err := range b.good.List(ctx, prefix) {
						if err != nil {
							yield(o, err)
							return
						}
						found = append(found, o)
					}
					for _, o := range bend(prefix, found) {
						if !yield(o, nil) {
							return
						}
					}
				}
			}
		}
	}
	each := func(change func(o *sinks.Object)) func(string, []sinks.Object) []sinks.Object {
		return func(_ string, found []sinks.Object) []sinks.Object {
			for i := range found {
				change(&found[i])
			}
			return found
		}
	}
	sorted := func(by func(key string) string) func(*broken) {
		return bends(func(_ string, found []sinks.Object) []sinks.Object {
			slices.SortFunc(found, func(a, b sinks.Object) int { return strings.Compare(by(a.Key), by(b.Key)) })
			return found
		})
	}
	inOrder := []string{"listing in key order with a dot before a slash"}
	return []breakage{
		{"listings show prefixes as objects", bends(func(prefix string, found []sinks.Object) []sinks.Object {
			return append([]sinks.Object{{Key: prefix, ModTime: time.Now()}}, found...)
		}), []string{"an empty listing", "a prefix is no directory", "listing 1005 objects", "opening what is not there"}},
		{"listings walk directories", sorted(func(key string) string { return strings.ReplaceAll(key, "/", "\x00") }), inOrder},
		{"listings ignore case", sorted(strings.ToLower), inOrder},
		{"listings are sorted as UTF-16", sorted(func(key string) string {
			return strings.ReplaceAll(key, "\U0001f6df", "\xd8")
		}), inOrder},
		{"prefixes are directories", bends(func(prefix string, found []sinks.Object) []sinks.Object {
			return slices.DeleteFunc(found, func(o sinks.Object) bool {
				rest := strings.TrimPrefix(o.Key, prefix)
				return rest != "" && !strings.HasSuffix(prefix, "/") && !strings.HasPrefix(rest, "/")
			})
		}), []string{"a prefix is no directory"}},
		{"listings stop after a page", bends(func(_ string, found []sinks.Object) []sinks.Object {
			return found[:min(len(found), 1000)]
		}), []string{"listing 1005 objects"}},
		{"listings stop after an object", bends(func(_ string, found []sinks.Object) []sinks.Object {
			return found[:min(len(found), 1)]
		}), []string{"listing ends when the caller has enough", "unusual characters in keys"}},
		{"sizes are wrong", bends(each(func(o *sinks.Object) { o.Size-- })), []string{"listing tells sizes and times"}},
		{"times are missing", bends(each(func(o *sinks.Object) { o.ModTime = time.Time{} })), []string{"listing tells sizes and times"}},
		{"listings ignore the context", func(b *broken) {
			b.list = func(ctx context.Context, prefix string) iter.Seq2[sinks.Object, error] {
				return b.good.List(context.WithoutCancel(ctx), prefix)
			}
		}, []string{"listing with an ended context"}},
	}
}

func deleteBreakages() []breakage {
	return []breakage{
		{"nothing is deleted", func(b *broken) {
			b.remove = func(context.Context, string) error { return nil }
		}, []string{"deleting", "a deleted key can be put again"}},
		{"deleting the missing is an error", func(b *broken) {
			b.remove = func(ctx context.Context, key string) error {
				if _, err := b.good.Open(ctx, key, 0); err != nil {
					return err
				}
				return b.good.Delete(ctx, key)
			}
		}, []string{"deleting what is not there"}},
		{"neighbours are deleted too", func(b *broken) {
			b.remove = func(ctx context.Context, key string) error {
				for o := range b.good.List(ctx, key) {
					if err := b.good.Delete(ctx, o.Key); err != nil {
						return err
					}
				}
				return nil
			}
		}, []string{"deleting", "deleting what is not there"}},
		{"deleted keys are spent", func(b *broken) {
			var spent sync.Map
			b.remove = func(ctx context.Context, key string) error {
				spent.Store(key, true)
				return b.good.Delete(ctx, key)
			}
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				if _, ok := spent.Load(key); ok {
					return fs.ErrExist
				}
				return b.good.Put(ctx, key, body, size)
			}
		}, []string{"a deleted key can be put again"}},
		{"deleting ignores the context", func(b *broken) {
			b.remove = func(ctx context.Context, key string) error { return b.good.Delete(context.WithoutCancel(ctx), key) }
		}, []string{"deleting with an ended context"}},
	}
}

func keyBreakages() []breakage {
	// maps makes a sink that takes some keys for others.
	maps := func(to func(key string) string) func(*broken) {
		return func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				return b.good.Put(ctx, to(key), body, size)
			}
			b.open = func(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
				return b.good.Open(ctx, to(key), off)
			}
			b.remove = func(ctx context.Context, key string) error { return b.good.Delete(ctx, to(key)) }
		}
	}
	return []breakage{
		{"plus is space", maps(func(key string) string { return strings.ReplaceAll(key, "+", " ") }), []string{"unusual characters in keys"}},
		{"accents are composed", maps(func(key string) string { return strings.ReplaceAll(key, "a\u0301", "á") }), []string{"unusual characters in keys"}},
		{"case is ignored", maps(strings.ToLower), []string{"upper and lower case differ"}},
		{"long segments are cut", maps(func(key string) string { return key[:min(len(key), 200)] }), []string{"long keys"}},
		{"paths are cleaned", maps(func(key string) string { return strings.TrimPrefix(path.Clean("/"+key), "/") }), []string{"impossible keys are refused"}},
		{"errors are bare", func(b *broken) {
			b.put = func(ctx context.Context, key string, body io.ReaderAt, size int64) error {
				return errors.Unwrap(b.good.Put(ctx, key, body, size))
			}
		}, []string{"errors tell operation, sink and key"}},
	}
}
