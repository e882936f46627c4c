package throwaway

import (
	"context"
	"fmt"
	"net"

	"github.com/lifeboat-dr/lifeboat/internal/member"
)

// Addresses are loopback ports that are held, not only looked up, until the members need them: between choosing them and
// starting the members a restore may run for minutes.
type Addresses struct{ held []net.Listener }

// Hold finds n free loopback ports and keeps them.
func Hold(ctx context.Context, n int) (*Addresses, error) {
	const tries = 5 // somebody may be faster than us
	var err error
	for range tries {
		var a *Addresses
		if a, err = hold(ctx, n); err == nil {
			return a, nil
		}
	}
	return nil, fmt.Errorf("hold %d loopback ports: %w", n, err)
}

func hold(ctx context.Context, n int) (*Addresses, error) {
	ports, err := member.FreePorts(n)
	if err != nil {
		return nil, err
	}
	a := &Addresses{}
	for _, p := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			a.Release()
			return nil, err
		}
		a.held = append(a.held, l)
	}
	return a, nil
}

// URL is the i-th address, for TLS.
func (a *Addresses) URL(i int) string { return "https://" + a.held[i].Addr().String() }

// Release lets the ports go, just before the members take them.
func (a *Addresses) Release() {
	for _, l := range a.held {
		_ = l.Close() // nothing was ever accepted
	}
}
