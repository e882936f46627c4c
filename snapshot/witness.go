package snapshot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"
)

// probeTimeout bounds what a second look may add to a failure.
const probeTimeout = 2 * time.Second

// errHungUp is what the witness keeps of a server that has never completed a handshake, and says nothing else.
var errHungUp = errors.New("the server ended the connection during the TLS handshake")

// A witness remembers what really happened to a connection. gRPC tells every failure to connect as one status text; the
// advice a person needs hangs on the typed error below it.
type witness struct {
	mu    sync.Mutex
	err   error
	chain []*x509.Certificate
	shook atomic.Bool // a handshake was completed
}

func (w *witness) last() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// note keeps the last error. That we gave up ourselves is none.
func (w *witness) note(err error) {
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
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
		if !c.w.shook.Load() && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
			c.w.note(errHungUp)
		} else {
			c.w.note(err)
		}
		return conn, info, err
	}
	c.w.shook.Store(true)
	c.w.present(info)
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
	return n, err
}

// probe tries once more, by hand, to find out why a connection failed after the other side had accepted it at first: gRPC
// writes at once and may close the connection because of that, before it reads why it is refused. It returns err or better.
func (w *witness) probe(ctx context.Context, err error, t target, a *access) error {
	seen := w.last()
	if !errors.Is(err, errConnect) || errors.Is(seen, syscall.ECONNREFUSED) || isAlert(seen) || (t.tls && !w.shook.Load()) {
		return err
	}
	conn, dialErr := dialTCP(ctx, t.host)
	if dialErr != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(probeTimeout)) // a TCP connection has deadlines
	cfg := a.tls.Clone()
	cfg.NextProtos = []string{"h2"}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(t.host)
	}
	client := tls.Client(conn, cfg)
	answer := client.HandshakeContext(ctx)
	if !t.tls {
		// Whether we like its certificate, or it ours, does not matter: it speaks TLS.
		var unverified *tls.CertificateVerificationError
		if answer == nil || errors.As(answer, &unverified) || isAlert(answer) {
			return errPlainToTLS
		}
		return err
	}
	if answer == nil {
		_, answer = client.Read(make([]byte, 1))
	}
	if isAlert(answer) {
		w.note(answer)
	}
	return err
}
