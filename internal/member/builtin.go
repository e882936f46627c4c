package member

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Role is the name under which a binary has to dispatch Main to be able to run the built-in etcd.
const Role = "member"

// encode is how a Spec travels to the process that runs it; decode is the other end. It holds paths of keys, never keys.
func (s Spec) encode() (string, error) {
	arg, err := json.Marshal(s)
	return string(arg), err
}

func decode(args []string) (s Spec, err error) {
	if len(args) != 1 {
		return s, fmt.Errorf("%d arguments, want one", len(args))
	}
	return s, json.Unmarshal([]byte(args[0]), &s)
}

// Main runs the built-in etcd until it is asked to stop by SIGTERM or fails. It is a child.Role.
func Main(ctx context.Context, args []string, _ io.Reader, _, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, args, stderr); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, args []string, log io.Writer) error {
	s, err := decode(args)
	if err != nil {
		return fmt.Errorf("read the specification: %w", err)
	}
	cfg, err := s.config(log)
	if err != nil {
		return err
	}
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case err = <-etcd.Err():
	case <-etcd.Server.StopNotify():
		err = fmt.Errorf("the server stopped by itself")
	}
	select {
	case <-etcd.Server.ReadyNotify():
	default:
		// Closing a member that has never joined waits for its raft loop for half a minute.
		etcd.Server.HardStop()
	}
	etcd.Close()
	return err
}

// config is for the built-in etcd what flags is for a binary.
func (s Spec) config(log io.Writer) (*embed.Config, error) {
	cfg := embed.NewConfig()
	client, err := url.Parse(s.ClientURL)
	if err != nil {
		return nil, fmt.Errorf("client URL: %w", err)
	}
	peer, err := url.Parse(s.PeerURL)
	if err != nil {
		return nil, fmt.Errorf("peer URL: %w", err)
	}
	cfg.Name, cfg.Dir = s.Name, s.DataDir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.InitialCluster, cfg.InitialClusterToken, cfg.ClusterState = s.initialCluster(), s.Token, s.state()
	cfg.QuotaBackendBytes = s.QuotaBytes
	cfg.SocketOpts.ReusePort = s.ReusePort
	cfg.ClientTLSInfo, cfg.PeerTLSInfo = s.ClientTLS.info(), s.PeerTLS.info()
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(log), zap.WarnLevel)))
	return cfg, nil
}

func (t TLS) info() transport.TLSInfo {
	return transport.TLSInfo{CertFile: t.Cert, KeyFile: t.Key, TrustedCAFile: t.CA, ClientCertAuth: t != TLS{}}
}
