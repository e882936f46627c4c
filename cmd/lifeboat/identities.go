package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"golang.org/x/term"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

// errUnattended is why a service asks for no passphrase.
var errUnattended = errors.New("nobody is there to be asked")

// keys reads the identities, once, and warns about one that others on this machine can read. A passphrase comes from its file or is
// asked for on the terminal; plugins ask there too.
func (f *flags) keys(ctx context.Context, s streams) ([]age.Identity, error) {
	if f.loaded != nil {
		return f.loaded, nil
	}
	files := f.identities
	if f.identityPassphraseFile != "" {
		files = append(files[:len(files):len(files)], f.identityPassphraseFile)
	}
	for _, path := range files {
		if exposed, err := crypto.Exposed(path); err == nil && exposed {
			s.warnf("%s can be read by other users: chmod 600 it", path)
		}
	}
	notef := func(format string, v ...any) { fmt.Fprintf(s.err, "lifeboat: "+format+"\n", v...) }
	u := crypto.Unlock{
		Plugins:    plugin.NewTerminalUI(notef, s.warnf),
		Passphrase: func(file string) (string, error) { return f.passphrase(ctx, file) },
	}
	var err error
	f.loaded, err = u.Load(f.identities...)
	return f.loaded, err
}

func (f *flags) passphrase(ctx context.Context, file string) (string, error) {
	if f.identityPassphraseFile != "" {
		return crypto.ReadPassphrase(f.identityPassphraseFile)
	}
	tty, err := (*os.File)(nil), errUnattended
	if !f.unattended {
		tty, err = os.OpenFile("/dev/tty", os.O_RDWR, 0)
	}
	if err != nil {
		return "", &crypto.KeyError{
			File: file, Reason: "is protected by a passphrase, and there is no terminal to ask for it on",
			Hint: "give a file that holds the passphrase with --identity-passphrase-file", Err: err,
		}
	}
	defer tty.Close()
	return ask(ctx, tty, "passphrase of "+file+": ")
}

// ask reads a line from the terminal that does not show there. When the context ends, the terminal is as it was before.
func ask(ctx context.Context, tty *os.File, prompt string) (string, error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask on the terminal: %w", err)
	}
	fmt.Fprint(tty, prompt)
	type answer struct {
		text []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		got <- answer{text, err}
	}()
	defer fmt.Fprintln(tty)
	select {
	case a := <-got:
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if a.err != nil {
			return "", fmt.Errorf("ask on the terminal: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		_ = term.Restore(fd, before) // the reader is left to the end of the process
		return "", context.Cause(ctx)
	}
}
