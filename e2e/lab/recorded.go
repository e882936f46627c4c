package lab

import (
	"cmp"
	"context"
	"crypto/sha256"
	"net"
	"os"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Recorded is no etcd but a replay of one: a gRPC server in this process that answers what a backup asks, always with the same
// recorded snapshot. It is for suites that need thousands of backups and care about what comes after the stream; everything that is
// about etcd itself runs against real servers.
type Recorded struct {
	URL       string // http://127.0.0.1:PORT
	File      []byte // the snapshot it sends, with its trailer
	Revision  int64
	ClusterID uint64
}

// recordedMember is the one member of a recorded cluster.
const recordedMember = 0x10

// StartRecorded serves the snapshot of Snapshot34, which a real etcd has made, until the test ends. clusterID is what the cluster claims
// to be; 0 is some id.
func StartRecorded(t testing.TB, clusterID uint64) *Recorded {
	t.Helper()
	path, figures := Snapshot34(t)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorded{URL: "http://" + lis.Addr().String(), File: file, Revision: figures.Revision, ClusterID: cmp.Or(clusterID, 0xcdf818194e3a8c32)}
	srv := grpc.NewServer()
	replay := &replay{Recorded: r}
	pb.RegisterMaintenanceServer(srv, replay)
	pb.RegisterKVServer(srv, replay)
	pb.RegisterClusterServer(srv, replay)
	ended := make(chan struct{})
	go func() {
		_ = srv.Serve(lis) // until Stop
		close(ended)
	}()
	t.Cleanup(func() {
		srv.Stop()
		<-ended
	})
	return r
}

// replay is the server; what it does not have is "unimplemented".
type replay struct {
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedKVServer
	pb.UnimplementedClusterServer
	*Recorded
}

func (r *replay) header() *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: r.ClusterID, MemberId: recordedMember, Revision: r.Revision, RaftTerm: 2}
}

// Range answers the linearizable read by which a backup learns the revision, and nothing else: a replay must not be taken for a database.
func (r *replay) Range(_ context.Context, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	if req.Serializable || !req.CountOnly {
		return nil, status.Error(codes.Unimplemented, "this is a replay and has no keys")
	}
	return &pb.RangeResponse{Header: r.header()}, nil
}

func (r *replay) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	size := int64(len(r.File) - sha256.Size)
	return &pb.StatusResponse{
		Header: r.header(), Version: "3.4.23", DbSize: size, DbSizeInUse: size, Leader: recordedMember, RaftTerm: 2, RaftIndex: 200, RaftAppliedIndex: 200,
	}, nil
}

func (r *replay) MemberList(context.Context, *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	member := &pb.Member{ID: recordedMember, Name: "recorded", PeerURLs: []string{"http://127.0.0.1:2380"}, ClientURLs: []string{r.URL}}
	return &pb.MemberListResponse{Header: r.header(), Members: []*pb.Member{member}}, nil
}

// Snapshot sends the file as etcd does: in blobs of 32 KiB, and the trailer by itself.
func (r *replay) Snapshot(_ *pb.SnapshotRequest, s pb.Maintenance_SnapshotServer) error {
	const blob = 32 << 10
	body := len(r.File) - sha256.Size
	for off := 0; off < body; off += blob {
		end := min(off+blob, body)
		if err := s.Send(&pb.SnapshotResponse{Header: r.header(), RemainingBytes: uint64(body - end), Blob: r.File[off:end]}); err != nil {
			return err
		}
	}
	return s.Send(&pb.SnapshotResponse{Header: r.header(), Blob: r.File[body:]})
}
