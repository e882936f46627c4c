// Package snapshot is the etcd side of a backup: it looks at a cluster, chooses a member, saves a snapshot from it, and
// inspects snapshot files, wherever they come from.
//
// It only reads. It never compacts, defragments, writes to or disarms a cluster, it never scans a live member unless told to,
// and it never opens a snapshot file in the process that called it: a damaged bbolt file can kill whoever opens it.
package snapshot

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const (
	defaultDialTimeout    = 10 * time.Second
	defaultRequestTimeout = 5 * time.Second

	// Windows and buffers for one fast stream: with gRPC's defaults the estimate of the bandwidth lags behind.
	streamWindow     = 8 << 20
	connectionWindow = 16 << 20
	readBuffer       = 512 << 10
)

// Config says how to reach a cluster. Files are read by Connect, so that a renewed certificate counts at the next run.
type Config struct {
	Endpoints []string // https://host:port or http://host:port; without a scheme https if any TLS file is given

	CAFile, CertFile, KeyFile string // PEM; without CAFile the system's authorities count
	ServerName                string // instead of the endpoint's host, in the server's certificate

	User         string
	PasswordFile string // one trailing newline is not part of the password

	DialTimeout    time.Duration // for each endpoint; 0 is 10 s
	RequestTimeout time.Duration // for each small request; 0 is 5 s
}

// Check reads the files and the addresses, and asks nobody: what it refuses cannot work, and matches ErrConfig.
func (cfg Config) Check() error {
	if _, err := loadAccess(cfg); err != nil {
		return err
	}
	_, err := parseEndpoints(cfg)
	return err
}

// A Cluster is a connection of its own to each endpoint that answered: no request ever moves to another member by itself.
type Cluster struct {
	links   []*link
	failed  []*EndpointError
	timeout time.Duration
	own     *x509.Certificate // our client certificate; nil without
	ownFile string
}

// link is one endpoint's connection.
type link struct {
	url     string
	cc      *grpc.ClientConn
	explain func(error) *EndpointError  // turns what a call returned into words
	login   func(context.Context) error // again, if the last was long ago; nil without a user
	chain   []*x509.Certificate         // that the server presented and we accept, up to the authority; none without TLS
	clock   func(context.Context) (time.Duration, error)

	kv          pb.KVClient
	maintenance pb.MaintenanceClient
	cluster     pb.ClusterClient
}

// Connect dials and, with a user, logs in to every endpoint at the same time. It fails with ErrConfig for settings that cannot
// work, and with ErrUnavailable if no endpoint lets us in; the others' failures are told by Survey.
func Connect(ctx context.Context, cfg Config) (*Cluster, error) {
	access, err := loadAccess(cfg)
	if err != nil {
		return nil, err
	}
	targets, err := parseEndpoints(cfg)
	if err != nil {
		return nil, err
	}
	c := &Cluster{timeout: defaultRequestTimeout, own: access.leaf, ownFile: access.certFile}
	if cfg.RequestTimeout > 0 {
		c.timeout = cfg.RequestTimeout
	}
	links := make([]*link, len(targets))
	failed := make([]*EndpointError, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { links[i], failed[i] = dial(ctx, t, access, c.timeout) })
	}
	wg.Wait()
	for i := range targets {
		if failed[i] != nil {
			c.failed = append(c.failed, failed[i])
			continue
		}
		c.links = append(c.links, links[i])
	}
	if err := ctx.Err(); err != nil {
		c.Close()
		return nil, err
	}
	if len(c.links) == 0 {
		return nil, &noEndpoint{"no etcd endpoint can be used", c.failed}
	}
	return c, nil
}

// Close ends all connections. Nothing is left to fail on a reader.
func (c *Cluster) Close() {
	for _, l := range c.links {
		_ = l.cc.Close()
	}
}

// dial connects to one endpoint and logs in there.
func dial(ctx context.Context, t target, a *access, request time.Duration) (*link, *EndpointError) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.dialTimeout, fmt.Errorf("no answer within %s", a.dialTimeout))
	defer cancel()

	seen := &witness{}
	tokens := &tokens{}
	opts := []grpc.DialOption{
		grpc.WithContextDialer(seen.dial),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck(), grpc.WithNoProxy(),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow),
		grpc.WithReadBufferSize(readBuffer),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		grpc.WithUnaryInterceptor(tokens.unary), grpc.WithStreamInterceptor(tokens.stream),
	}
	if t.tls {
		opts = append(opts, grpc.WithTransportCredentials(seen.watch(a.credentials())))
	} else {
		opts = append(opts, grpc.WithTransportCredentials(seen.watch(insecure.NewCredentials())))
	}
	explain := func(err error) *EndpointError {
		hint, text := explain(err, seen.last(), t, a)
		return &EndpointError{Endpoint: t.url, Kind: ErrUnavailable, Err: text, Hint: hint, Absent: isAbsent(err, seen.last())}
	}
	// The passthrough resolver leaves the name to the dialler, which tries all its addresses.
	cc, err := grpc.NewClient("passthrough:///"+t.host, opts...)
	if err != nil {
		return nil, explain(err)
	}
	if err := waitReady(ctx, cc); err != nil {
		_ = cc.Close()
		return nil, explain(seen.probe(ctx, err, t, a))
	}
	l := &link{
		url: t.url, cc: cc, explain: explain, chain: seen.presented(), clock: func(ctx context.Context) (time.Duration, error) { return askTime(ctx, t, a) },
		kv: pb.NewKVClient(cc), maintenance: pb.NewMaintenanceClient(cc), cluster: pb.NewClusterClient(cc),
	}
	if a.user != "" {
		l.login = func(ctx context.Context) error {
			if time.Since(tokens.since) < renewAfter {
				return nil
			}
			ctx, cancel := context.WithTimeoutCause(ctx, request, fmt.Errorf("no answer to the login within %s", request))
			defer cancel()
			return withCause(ctx, tokens.login(ctx, pb.NewAuthClient(cc), a))
		}
		if err := l.login(ctx); err != nil {
			_ = cc.Close()
			return nil, explain(err)
		}
	}
	return l, nil
}

// waitReady waits for the first connection and gives up with the first failure: gRPC itself would go on trying.
func waitReady(ctx context.Context, cc *grpc.ClientConn) error {
	cc.Connect()
	for {
		state := cc.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure, connectivity.Shutdown:
			return errConnect
		}
		if !cc.WaitForStateChange(ctx, state) {
			return context.Cause(ctx)
		}
	}
}

var (
	errConnect    = errors.New("connection failed")
	errPlainToTLS = errors.New("plain text sent to a TLS port")
)

// withCause prefers what ended the context to the RPC's own words for it. No error stays none.
func withCause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// renewAfter is how old a login may be before the next long request begins with a new one: etcd forgets a token that was not
// used for five minutes, and a fallback may be needed only after another member has streamed for longer.
const renewAfter = 2 * time.Minute

// tokens adds the login's token to every request. It changes only between requests, of which a link has one at a time.
type tokens struct {
	token string
	since time.Time
}

func (t *tokens) login(ctx context.Context, auth pb.AuthClient, a *access) error {
	answer, err := auth.Authenticate(ctx, &pb.AuthenticateRequest{Name: a.user, Password: a.password})
	if err == nil {
		t.token, t.since = answer.Token, time.Now()
	}
	if rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(rpctypes.ErrGRPCAuthNotEnabled) {
		return nil // a user too many is no reason to have no backup
	}
	return err
}

func (t *tokens) with(ctx context.Context) context.Context {
	if t.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, t.token)
}

func (t *tokens) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	call grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	return call(t.with(ctx), method, req, reply, cc, opts...)
}

func (t *tokens) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return open(t.with(ctx), desc, cc, method, opts...)
}

// find gives the connection a surveyed endpoint stands for, logged in not long ago.
func (c *Cluster) find(ctx context.Context, ep Endpoint) (*link, error) {
	for _, l := range c.links {
		if l.url != ep.URL {
			continue
		}
		if l.login != nil {
			if err := l.login(ctx); err != nil {
				return nil, l.explain(err)
			}
		}
		return l, nil
	}
	return nil, fmt.Errorf("%s is not an endpoint of this connection", ep.URL)
}

// dialTCP is the plain dialler: all addresses of a name, no proxy.
func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}
