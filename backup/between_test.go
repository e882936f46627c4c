package backup_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

type stream = pb.Maintenance_SnapshotServer

// A front stands before the members of a real cluster and passes everything on, but for the snapshots: the first that is asked for,
// of whichever member, is answered as the test likes.
type front struct {
	first func(b *between, s stream, file []byte) error // nil: honestly

	mu    sync.Mutex
	asked []string // URLs, in order
	files [][]byte // what these members had to give
}

// between stands before one member.
type between struct {
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedKVServer
	pb.UnimplementedClusterServer
	front *front
	url   string
	srv   *grpc.Server

	kv          pb.KVClient
	maintenance pb.MaintenanceClient
	cluster     pb.ClusterClient
	hash        uint32 // added to the member's own
}

// serve starts the front and returns the URLs to use instead of the members'.
func (f *front) serve(t *testing.T, members []string) (urls []string) {
	t.Helper()
	for _, m := range members {
		urls = append(urls, f.before(t, m).url)
	}
	return urls
}

func (f *front) before(t *testing.T, member string) *between {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(member, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &between{
		front: f, url: "http://" + lis.Addr().String(), srv: grpc.NewServer(),
		kv: pb.NewKVClient(cc), maintenance: pb.NewMaintenanceClient(cc), cluster: pb.NewClusterClient(cc),
	}
	pb.RegisterMaintenanceServer(b.srv, b)
	pb.RegisterKVServer(b.srv, b)
	pb.RegisterClusterServer(b.srv, b)
	go func() { _ = b.srv.Serve(lis) }()
	t.Cleanup(func() {
		b.srv.Stop()
		_ = cc.Close()
	})
	return b
}

func (b *between) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	return b.kv.Range(ctx, r)
}

func (b *between) Status(ctx context.Context, r *pb.StatusRequest) (*pb.StatusResponse, error) {
	return b.maintenance.Status(ctx, r)
}

func (b *between) MemberList(ctx context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	return b.cluster.MemberList(ctx, r)
}

func (b *between) HashKV(ctx context.Context, r *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	h, err := b.maintenance.HashKV(ctx, r)
	if err == nil {
		h.Hash += b.hash
	}
	return h, err
}

func (b *between) Snapshot(r *pb.SnapshotRequest, s stream) error {
	file, err := fetch(s.Context(), b.maintenance)
	if err != nil {
		return err
	}
	f := b.front
	f.mu.Lock()
	f.asked, f.files = append(f.asked, b.url), append(f.files, file)
	first := len(f.asked) == 1
	f.mu.Unlock()
	if first && f.first != nil {
		return f.first(b, s, file)
	}
	return send(s, file, len(file))
}

// fetch takes a snapshot of a member, with its trailer.
func fetch(ctx context.Context, from pb.MaintenanceClient) ([]byte, error) {
	got, err := from.Snapshot(ctx, &pb.SnapshotRequest{})
	if err != nil {
		return nil, err
	}
	var file []byte
	for {
		part, err := got.Recv()
		if errors.Is(err, io.EOF) {
			return file, nil
		}
		if err != nil {
			return nil, err
		}
		file = append(file, part.Blob...)
	}
}

// send sends the way etcd does, blob by blob and the trailer by itself, but only the first bytes.
func send(s stream, file []byte, upTo int) error {
	const blob = 32 << 10
	body := len(file) - sha256.Size
	for off := 0; off < min(upTo, body); off += blob {
		end := min(off+blob, body)
		if err := s.Send(&pb.SnapshotResponse{RemainingBytes: uint64(body - end), Blob: file[off:min(end, upTo)], Version: "3.6.0"}); err != nil {
			return err
		}
	}
	if upTo > body {
		return s.Send(&pb.SnapshotResponse{Blob: file[body:upTo], Version: "3.6.0"})
	}
	return nil
}

// die is what a member does that is killed: its connections are cut, and it is not there any more.
func (b *between) die(s stream) error {
	b.srv.Stop()
	<-s.Context().Done()
	return s.Context().Err()
}

// inverted is as long as n files, looks like none, and ends in a good trailer.
func inverted(file []byte, n int) []byte {
	body := slices.Clone(file[:len(file)-sha256.Size])
	for i := range body {
		body[i] ^= 0xff
	}
	body = slices.Repeat(body, n)
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}
