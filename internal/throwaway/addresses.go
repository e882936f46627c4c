package throwaway

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/member"
)

// Addresses are loopback ports that nobody else gets as long as they are held: not while a restore runs for minutes before
// its members start, and not while members are down between two starts.
//
// A port is held by a socket that is bound to it and does not listen. Members share it by SO_REUSEPORT, which the kernel
// grants to sockets of the same user that all ask for it.
type Addresses struct {
	ports   []int
	sockets []int
}

// Hold finds n free loopback ports and holds them.
func Hold(n int) (*Addresses, error) {
	const tries = 5 // somebody may be faster between finding and holding
	var err error
	for range tries {
		var a *Addresses
		if a, err = hold(n); err == nil {
			return a, nil
		}
	}
	return nil, fmt.Errorf("hold %d loopback ports: %w", n, err)
}

func hold(n int) (*Addresses, error) {
	ports, err := member.FreePorts(n)
	if err != nil {
		return nil, err
	}
	a := &Addresses{ports: ports}
	for _, p := range ports {
		socket, err := bound(p)
		if err != nil {
			a.Release()
			return nil, err
		}
		a.sockets = append(a.sockets, socket)
	}
	return a, nil
}

// bound makes a socket of the given port. It is not made through net, which listens on what it binds and lets others do so,
// by SO_REUSEADDR.
func bound(port int) (int, error) {
	syscall.ForkLock.RLock() // no child may inherit it
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, err
	}
	err = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if err == nil {
		err = unix.Bind(socket, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		return 0, errors.Join(err, unix.Close(socket))
	}
	return socket, nil
}

// URL is the i-th address, for TLS.
func (a *Addresses) URL(i int) string { return fmt.Sprintf("https://127.0.0.1:%d", a.ports[i]) }

// Release lets the ports go. It may be called more than once.
func (a *Addresses) Release() {
	for _, s := range a.sockets {
		_ = unix.Close(s) // it never had a connection
	}
	a.sockets = nil
}
