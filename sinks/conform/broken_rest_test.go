package conform_test

import (
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
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

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

// bends makes a sink that gets its listings wrong in some way.
func bends(bend func(prefix string, found []sinks.Object) []sinks.Object) func(*broken) {
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

func listBreakages() []breakage {
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
