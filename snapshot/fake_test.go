package snapshot_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/lifeboat-dr/lifeboat/internal/pki"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// liar is a member that does what no real one does on demand: it stalls, stops in the middle, or lies.
type liar struct {
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedKVServer
	pb.UnimplementedClusterServer

	status    pb.StatusResponse
	r0        int64
	elections atomic.Int32 // how many reads the change of a leader ends
	stream    func(pb.Maintenance_SnapshotServer) error
}

func (l *liar) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	if l.elections.Add(-1) >= 0 {
		return nil, rpctypes.ErrGRPCLeaderChanged
	}
	return &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: l.r0}}, nil
}

func (l *liar) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &l.status, nil
}

func (l *liar) MemberList(context.Context, *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	return &pb.MemberListResponse{Members: []*pb.Member{{ID: 1, Name: "liar"}}}, nil
}

func (l *liar) Snapshot(_ *pb.SnapshotRequest, s pb.Maintenance_SnapshotServer) error {
	return l.stream(s)
}

// serve starts the member and returns its endpoint.
func (l *liar) serve(t *testing.T) string {
	t.Helper()
	if l.status.Header == nil {
		l.status.Header = &pb.ResponseHeader{ClusterId: 7, MemberId: 1, Revision: l.r0}
		l.status.Leader = 1
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	pb.RegisterMaintenanceServer(srv, l)
	pb.RegisterKVServer(srv, l)
	pb.RegisterClusterServer(srv, l)
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	return "http://" + lis.Addr().String()
}

// withTrailer is a file as etcd sends it: the body and its SHA-256.
func withTrailer(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(slices.Clone(body), sum[:]...)
}

// send sends file the way etcd does, in blobs of that many bytes and the trailer as a message of its own, but only its first
// upTo bytes.
func send(s pb.Maintenance_SnapshotServer, file []byte, blob, upTo int) error {
	body := len(file) - sha256.Size
	for off := 0; off < min(upTo, body); off += blob {
		end := min(off+blob, body)
		if err := s.Send(&pb.SnapshotResponse{RemainingBytes: uint64(body - end), Blob: file[off:min(end, upTo)], Version: "3.7.0"}); err != nil {
			return err
		}
	}
	if upTo > body {
		return s.Send(&pb.SnapshotResponse{Blob: file[body:upTo], Version: "3.7.0"})
	}
	return nil
}

// pseudo is a body that is not the same everywhere.
func pseudo(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	return b
}

// saveFrom takes a snapshot from a liar.
func saveFrom(t *testing.T, l *liar, o snapshot.SaveOptions) ([]byte, snapshot.Saved, error) {
	t.Helper()
	c := connect(t, snapshot.Config{Endpoints: []string{l.serve(t)}})
	spool := newSpool(t)
	saved, err := c.Save(t.Context(), survey(t, c).Candidates[0], spool, o)
	return contents(t, spool.File()), saved, err
}

// hang keeps a stream open until the client is gone.
func hang(s pb.Maintenance_SnapshotServer) error {
	<-s.Context().Done()
	return s.Context().Err()
}

const soon = 150 * time.Millisecond

func sizes(n int) string { return fmt.Sprintf("%d bytes", n) }

// serveTLS answers handshakes with a certificate, which is all an expired one allows.
func serveTLS(t *testing.T, pair pki.Pair) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	return "https://" + lis.Addr().String()
}
