package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// The plugin of these tests is this program under another name: it keeps X25519 identities, as plugins for password managers do.
const keeper = "keeper"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "age-plugin-"+keeper {
		os.Exit(keep())
	}
	os.Exit(withPlugin(m.Run))
}

// withPlugin runs the tests with the plugin in PATH.
func withPlugin(run func() int) int {
	dir, err := os.MkdirTemp("", "lifeboat-plugin-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	err = errors.Join(os.Symlink(self, filepath.Join(dir, "age-plugin-"+keeper)),
		os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")))
	if err != nil {
		panic(err)
	}
	return run()
}

// keep is the plugin. Its identities are what it keeps: "ask" and "break" before it make it ask for a PIN and fail.
func keep() int {
	p, err := plugin.New(keeper)
	if err != nil {
		panic(err)
	}
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		how, secret, _ := strings.Cut(string(data), ":")
		id, err := age.ParseX25519Identity(secret)
		return kept{id, how, p}, err
	})
	return p.Main()
}

type kept struct {
	age.Identity
	how string
	p   *plugin.Plugin
}

func (k kept) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	switch k.how {
	case "break":
		return nil, errors.New("the device is not plugged in")
	case "ask":
		if pin, err := k.p.RequestValue("the PIN", true); err != nil || pin != "1234" {
			return nil, errors.New("no PIN, no key")
		}
	}
	return k.Identity.Unwrap(stanzas)
}

// keptIdentity writes an identity file for the plugin.
func keptIdentity(t *testing.T, name, how string, p pair) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plugin.txt")
	write(t, file, "# a comment\n"+plugin.EncodeIdentity(name, []byte(how+":"+secretOf(t, p)))+"\n")
	return file
}

func TestAPluginOpensWhatItsIdentityIsFor(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	sealed, _ := seal(t, content(1000), newPair(t, true).to, p.to)
	ids, err := LoadIdentities(keptIdentity(t, keeper, "", p))
	if err != nil {
		t.Fatal(err)
	}
	got, o, err := openAll(bytes.NewReader(sealed), ids, 1000)
	if err != nil || !bytes.Equal(got, content(1000)) || o.Fingerprint() != "" {
		t.Errorf("%d bytes, opened by %q: %v", len(got), o.Fingerprint(), err)
	}
	if text := fmt.Sprint(ids[0]); strings.Contains(text, secretOf(t, p)) {
		t.Error("the test's identity is not wrapped")
	}
}

func TestAPluginWithTheWrongKeyIsNoMatch(t *testing.T) {
	t.Parallel()
	sealed, _ := seal(t, content(10), newPair(t, true).to)
	ids, err := LoadIdentities(keptIdentity(t, keeper, "", newPair(t, true)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(bytes.NewReader(sealed), ids, 10)
	if none := new(NoIdentityError); !errors.As(err, &none) || len(none.Troubles) != 0 || !strings.Contains(err.Error(), "one of a plugin") {
		t.Errorf("got %v", err)
	}
}

func TestAPluginMayAskWhereSomebodyAnswers(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	sealed, _ := seal(t, content(10), p.to)
	file := keptIdentity(t, keeper, "ask", p)
	var asked []string
	answers := &plugin.ClientUI{RequestValue: func(name, prompt string, secret bool) (string, error) {
		asked = append(asked, fmt.Sprint(name, " ", prompt, " ", secret))
		return "1234", nil
	}}
	for _, u := range []Unlock{{Plugins: answers}, {}} {
		ids, err := u.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(bytes.NewReader(sealed), ids, 10)
		if u.Plugins != nil && err != nil {
			t.Errorf("answered: %v", err)
		}
		if u.Plugins == nil && (!errors.Is(err, ErrNoIdentity) || !strings.Contains(err.Error(), "no PIN, no key")) {
			t.Errorf("unanswered: %v", err)
		}
	}
	if len(asked) != 1 || asked[0] != "keeper the PIN true" {
		t.Errorf("asked %q", asked)
	}
}

func TestAPluginInTroubleDoesNotKeepTheNextIdentityFromOpening(t *testing.T) {
	t.Parallel()
	p, q := newPair(t, true), newPair(t, true)
	sealed, _ := seal(t, content(10), p.to)
	broken, absent := keptIdentity(t, keeper, "break", q), keptIdentity(t, "nowhere", "", q)
	ids, err := LoadIdentities(absent, broken, keptIdentity(t, keeper, "", p))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(bytes.NewReader(sealed), ids, 10); err != nil {
		t.Errorf("a good one after two bad ones: %v", err)
	}
	_, err = Open(bytes.NewReader(sealed), ids[:2], 10)
	var none *NoIdentityError
	if !errors.As(err, &none) || len(none.Troubles) != 2 || errors.Is(err, ErrDamaged) {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{"the program age-plugin-nowhere is not there", "the device is not plugged in"} {
		if !strings.Contains(none.Troubles[i].Error(), want) {
			t.Errorf("trouble %d: %v", i, none.Troubles[i])
		}
	}
	if hint := none.Troubles[0].(*PluginError).Hint(); !strings.Contains(hint, "install age-plugin-nowhere") {
		t.Errorf("hint %q", hint)
	}
}
