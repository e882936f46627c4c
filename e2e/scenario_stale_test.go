package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/internal/kubedata"
	"github.com/lifeboat-dr/lifeboat/internal/member"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

// TestNothingIsTakenFromAMemberThatTheOthersHaveLeftBehind cuts a member off from its peers by a certificate that they do not trust. It goes on
// answering its clients, Status and Snapshot among what it answers, and the cluster goes on without it.
func TestNothingIsTakenFromAMemberThatTheOthersHaveLeftBehind(t *testing.T) {
	t.Parallel()
	s := newScene(t, lab.ClusterOptions{Version: "3.6", TLS: true}, kubedata.Options{Keys: 300, Seed: 21})
	const cut = 2
	mend := s.cutOff(t, cut)
	c := s.Client(t)
	c.SetEndpoints(slices.Delete(s.Endpoints(), cut, cut+1)...)
	for i := range 5 {
		if _, err := c.Put(t.Context(), fmt.Sprint("/registry/configmaps/default/later-", i), "value"); err != nil {
			t.Fatal(err)
		}
	}
	e := s.Endpoints()
	stale := e[cut]
	s.letLead(t, func(place int) bool { return place == 1 }) // followers come first
	// Both members behind one address, as behind a load balancer: who looks sees the one that is well, and is sent the snapshot of the other.
	both := s.balance(t, stale, e[0])
	for _, c := range []struct {
		name      string
		endpoints []string
		reason    string // "": there is a backup, of the second endpoint
	}{
		{"it is one of three", []string{stale, e[1], e[0]}, ""},
		{"its snapshot is refused", []string{both, e[1]}, ""},
		{"there is only it", []string{stale}, `the cluster has no quorum`},
		{"there is only its snapshot", []string{both}, `snapshot .* revision \d+.* \d+`},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(s.stored(t))
			if c.reason != "" {
				r := s.try(t, c.endpoints).must(t, 4)
				mustSay(t, "backup", r.stderr, c.reason, "lifeboat: hint: ")
				if all := s.stored(t); len(all) != before {
					t.Errorf("stored are %v", all)
				}
				if files, err := filepath.Glob(filepath.Join(s.bucket, "v1/default/snapshots/*")); err != nil || len(files) != before {
					t.Errorf("payloads in the bucket: %v, %v", files, err)
				}
				return
			}
			b := s.backup(t, c.endpoints...)
			if b.Source.Endpoint == c.endpoints[0] || b.Revision < b.LinearizableRevision || b.LinearizableRevision == 0 {
				t.Errorf("taken from %s: revision %d, linearizable %d", b.Source.Endpoint, b.Revision, b.LinearizableRevision)
			}
			mustSay(t, "backup", b.said, `endpoint=`+c.endpoints[0]+` .*revision`)
			if len(c.endpoints) == 2 {
				s.comesBack(t, "3.6", b)
			}
		})
	}
	mend()
	s.Await(t, cut)
	s.whole(t)
}

// cutOff leaves a member with a certificate for its peers that is of nobody they know, which comes out when the others are started again. The member
// itself runs on. The returned function gives it the right one back.
func (s *scene) cutOff(t *testing.T, cut int) (mend func()) {
	t.Helper()
	issue := func(by *pki.CA, name string) pki.Pair {
		pair, err := by.Issue(name, pki.Options{Hosts: []string{"127.0.0.1"}, Server: true, Client: true})
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	strangers, err := pki.NewCA(filepath.Join(t.TempDir(), "strangers"), "authority of strangers")
	if err != nil {
		t.Fatal(err)
	}
	right, stray := issue(s.CA, "right"), issue(strangers, "stray")
	mine := pki.Pair{CA: right.CA, Cert: filepath.Join(s.Dir, "pki", "own.crt"), Key: filepath.Join(s.Dir, "pki", "own.key")}
	use := func(pair pki.Pair) { // etcd reads them for each new connection
		for from, to := range map[string]string{pair.Cert: mine.Cert, pair.Key: mine.Key} {
			text, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	use(right)
	s.Change(cut, func(m *member.Spec) { m.PeerTLS = member.TLS(mine) })
	s.Stop(t, cut)
	s.Start(t, cut)
	use(stray)
	for i := range s.Members() {
		if i != cut {
			s.letLead(t, func(place int) bool { return place != cut && place != i })
			s.Stop(t, i)
			s.Start(t, i)
		}
	}
	c := s.Client(t)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if st, err := c.Status(t.Context(), s.Members()[cut].ClientURL); err == nil && st.Leader == 0 {
			return func() { use(right) }
		}
		if time.Now().After(deadline) {
			t.Fatal("the member is not cut off")
		}
	}
}

// balance serves an address that hands requests for a snapshot on to one member, and all others to another.
func (s *scene) balance(t *testing.T, snapshots, rest string) (url string) {
	t.Helper()
	pair, err := s.CA.Issue("balancer", pki.Options{Hosts: []string{"127.0.0.1"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(url string) *grpc.ClientConn {
		cc, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(url, "https://"),
			grpc.WithTransportCredentials(credentials.NewTLS(s.ClientTLS(t))), grpc.WithDefaultCallOptions(grpc.ForceCodec(asTheyCome{})))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cc.Close() })
		return cc
	}
	to, other := dial(snapshots), dial(rest)
	srv := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&cert)), grpc.ForceServerCodec(asTheyCome{}),
		grpc.UnknownServiceHandler(func(_ any, from grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(from)
			cc := other
			if strings.HasSuffix(method, "/Snapshot") {
				cc = to
			}
			return handOn(from, cc, method)
		}))
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	return "https://" + lis.Addr().String()
}

// handOn asks somebody else and passes on all that is answered. Every request of a backup is one message.
func handOn(from grpc.ServerStream, cc *grpc.ClientConn, method string) error {
	var message []byte
	if err := from.RecvMsg(&message); err != nil {
		return err
	}
	there, err := cc.NewStream(from.Context(), &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	if err := there.SendMsg(&message); err != nil {
		return err
	}
	if err := there.CloseSend(); err != nil {
		return err
	}
	for {
		switch err := there.RecvMsg(&message); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := from.SendMsg(&message); err != nil {
			return err
		}
	}
}

// asTheyCome passes messages on unread.
type asTheyCome struct{}

func (asTheyCome) Name() string                  { return "proto" }
func (asTheyCome) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (asTheyCome) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
