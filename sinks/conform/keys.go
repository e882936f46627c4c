package conform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

func keyChecks() []sinks.Check {
	return []sinks.Check{
		check("unusual characters in keys", unusualKeys),
		check("upper and lower case differ", func(ctx context.Context, t trial) error {
			if err := t.puts(ctx, "Object", "object"); err != nil {
				return err
			}
			return errors.Join(t.holds(ctx, t.prefix+"Object", []byte("Object")), t.holds(ctx, t.prefix+"object", []byte("object")))
		}),
		check("long keys", longKeys),
		check("impossible keys are refused", impossibleKeys),
		check("errors tell operation, sink and key", errorIdentity),
	}
}

// unusualKeys has what URLs, form encoding, shells, XML, globs and backup tools treat specially.
func unusualKeys(ctx context.Context, t trial) error {
	names := []string{
		"a b", "a+b", "a%20b", "a%2fb", "a=b&c", "a?b", "a#b", "a:b", "a@b", "a<b>", "a'b\"", "a*b", "a~", ".a", "..a", "a..", "-a",
		"a;b,c$d!", "a(b)[c]{d}^`|", "ä ö 中文 🛟", "a\u0301", "á",
	}
	if err := t.puts(ctx, names...); err != nil {
		return err
	}
	for _, name := range names {
		if err := t.holds(ctx, t.prefix+name, []byte(name)); err != nil {
			return err
		}
	}
	found, err := t.list(ctx, t.prefix)
	if err == nil && len(found) != len(names) {
		err = fmt.Errorf("of %d objects %d are listed: %v", len(names), len(found), found)
	}
	return err
}

// longKeys uses the longest segment and the longest key.
func longKeys(ctx context.Context, t trial) error {
	segments := t.prefix + "deep/" + strings.Repeat(strings.Repeat("n", 100)+"/", 8)
	for _, key := range []string{t.prefix + strings.Repeat("n", 255), segments[:sinks.MaxKey-1] + "n"} {
		if err := t.put(ctx, key, []byte("long")); err != nil {
			return err
		}
		if err := t.holds(ctx, key, []byte("long")); err != nil {
			return err
		}
	}
	return nil
}

func impossibleKeys(ctx context.Context, t trial) error {
	keys := []string{
		"", "/" + t.prefix + "a", t.prefix, t.prefix + "a/", t.prefix + "a//b", t.prefix + "./a", t.prefix + "a/../b", t.prefix + "..",
		"../" + t.prefix + "a", t.prefix + "a\x00b", t.prefix + "a\nb", t.prefix + "a\\b", t.prefix + "a\xff",
		t.prefix + sinks.Reserved + "a", t.prefix + strings.Repeat("n", 256), t.prefix + strings.Repeat("long/", sinks.MaxKey/5) + "a",
	}
	for _, key := range keys {
		_, openErr := t.Open(ctx, key, 0)
		_, listErr := t.list(ctx, t.prefix+"a//b")
		if err := errors.Join(
			wants(fs.ErrInvalid, t.put(ctx, key, []byte("x")), fmt.Sprintf("putting to the key %q", key)),
			wants(fs.ErrInvalid, openErr, fmt.Sprintf("opening the key %q", key)),
			wants(fs.ErrInvalid, t.Delete(ctx, key), fmt.Sprintf("deleting the key %q", key)),
			wants(fs.ErrInvalid, listErr, "listing a prefix no key can have"),
		); err != nil {
			return err
		}
	}
	return t.lists(ctx, "")
}

func errorIdentity(ctx context.Context, t trial) error {
	key := t.prefix + "object"
	if err := t.put(ctx, key, []byte("x")); err != nil {
		return err
	}
	_, openErr := t.Open(ctx, t.prefix+"missing", 0)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, listErr := t.list(cancelled, t.prefix)
	return errors.Join(
		identifies(openErr, "open", t.prefix+"missing"),
		identifies(t.put(ctx, key, []byte("x")), "put", key),
		identifies(t.Delete(ctx, t.prefix), "delete", t.prefix),
		identifies(listErr, "list", t.prefix),
	)
}

func identifies(err error, op, key string) error {
	var e *sinks.Error
	if !errors.As(err, &e) || e.Op != op || e.Key != key || e.Sink == "" {
		return fmt.Errorf("the error of %s %s does not say so: %+v", op, key, err)
	}
	if errors.Unwrap(e) == nil || !strings.Contains(e.Error(), key) {
		return fmt.Errorf("the error of %s %s does not tell the key or has no cause: %v", op, key, err)
	}
	return nil
}
