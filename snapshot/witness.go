package snapshot

import (
	"bytes"
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/credentials"
)

// A witness remembers what really happened to a connection. gRPC tells every failure to connect as one status text; the
// advice a person needs hangs on the typed error below it.
type witness struct {
	mu  sync.Mutex
	err error
	tls bool // the other side of a plain connection answered in TLS
}

// observation is what was seen last.
type observation struct {
	err error
	tls bool
}

func (w *witness) last() observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return observation{w.err, w.tls}
}

// note keeps the last error; our own closing of a failed connection is none.
func (w *witness) note(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *witness) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := dialTCP(ctx, addr)
	w.note(err)
	return conn, err
}

// watch has the witness look at handshakes, and at what is read right after them: with TLS 1.3 a server refuses a client's
// certificate only then.
func (w *witness) watch(c credentials.TransportCredentials) credentials.TransportCredentials {
	return &watched{TransportCredentials: c, w: w}
}

type watched struct {
	credentials.TransportCredentials
	w *witness
}

func (c *watched) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		c.w.note(err)
		return conn, info, err
	}
	return &watchedConn{Conn: conn, w: c.w}, info, nil
}

func (c *watched) Clone() credentials.TransportCredentials {
	return &watched{TransportCredentials: c.TransportCredentials.Clone(), w: c.w}
}

// watchedConn looks at the first answer only: past it every error is told by the request that suffers it.
type watchedConn struct {
	net.Conn
	w    *witness
	done bool // only the transport's one reader touches it
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.done {
		return n, err
	}
	c.w.note(err)
	c.done = n > 0
	if speaksTLS(p[:n]) {
		c.w.mu.Lock()
		c.w.tls = true
		c.w.mu.Unlock()
	}
	return n, err
}

// speaksTLS knows the two ways in which a TLS server answers plain text: an alert record, or Go's page for such clients.
func speaksTLS(answer []byte) bool {
	return bytes.HasPrefix(answer, []byte{0x15, 0x03}) || bytes.Contains(answer, []byte("HTTP request to an HTTPS server"))
}
