package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

const (
	// aggregated is how long the server may take to serve what a CustomResourceDefinition or another object tells it to.
	aggregated = 30 * time.Second
	// future is how far a client may have seen on after the backup was taken, in revisions, when its watch is tried.
	future = 1000
	// watchPatience is how long a watch is listened to that should have been refused.
	watchPatience = 5 * time.Second
)

// kubernetes runs a kube-apiserver on the restored members, on which a restore for real would have put one, and asks it for every
// object there is.
func (r *run) kubernetes(ctx context.Context, m *made) error {
	before, err := keysBelow(ctx, r.cluster.Nodes[0], registry)
	if err != nil {
		return r.noAPIServer(ctx, err)
	}
	began := time.Now()
	server, err := apiserver.Start(ctx, r.apiserverSpec(m))
	if err != nil {
		return err
	}
	err = r.askAPIServer(ctx, server, before, began)
	// It would hang without etcd, so it ends before that does.
	return errors.Join(err, server.Stop())
}

func (r *run) apiserverSpec(m *made) apiserver.Spec {
	s := apiserver.Spec{
		Binary: r.o.APIServer, Args: r.o.APIServerArgs, Dir: filepath.Join(m.dir, "kube-apiserver"),
		URL: r.held.URL(2 * r.o.Members), TLS: pki.Pair(r.cluster.Files),
	}
	for _, n := range r.cluster.Nodes {
		s.Etcd = append(s.Etcd, n.ClientURL)
	}
	return s
}

func (r *run) askAPIServer(ctx context.Context, server *apiserver.Server, before keyset, began time.Time) error {
	up := server.Answers(ctx, r.timeout)
	r.report.phase("apiserver", "", time.Since(began), false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if up != nil && server.Err() != nil {
		return r.noAPIServer(ctx, failed("%v", up))
	}
	// One that lives and is not ready may still say which object it cannot read.
	began = time.Now()
	reading, err := readAll(ctx, server, before)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		err = reading.judge(ctx, r.cluster.Nodes[0])
	}
	r.report.phase("list-objects", "", time.Since(began), false)
	if err != nil && up != nil {
		err = failed("%v", up) // the cause
	}
	if err != nil {
		return r.noAPIServer(ctx, err)
	}
	if up == nil && reading.whole() {
		up = server.Ready(ctx, r.timeout)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	r.record(reading, up)
	if up != nil {
		return nil
	}
	return r.ask(ctx, question{CheckAPIServerWatch, func(ctx context.Context) (string, error) { return r.futureWatch(ctx, server) }})
}

// noAPIServer records that there is nothing to be asked.
func (r *run) noAPIServer(ctx context.Context, err error) error {
	return r.ask(ctx, question{CheckAPIServer, func(context.Context) (string, error) { return "", err }})
}

// futureWatch goes on watching as a client does that saw more of the old cluster than the backup has. Believing that it knows all up to
// there, it would miss whatever is written from now on, until the revisions have caught up.
func (r *run) futureWatch(ctx context.Context, server *apiserver.Server) (string, error) {
	at := r.want.Revision + future
	err := server.Watch(ctx, apiserver.Resource{Version: "v1", Name: "namespaces"}, at, watchPatience)
	switch {
	case errors.Is(err, apiserver.ErrExpired):
		return fmt.Sprintf("a client that had seen revision %d, after the backup, is told to list everything again (410)", at), nil
	case err != nil:
		return "", failed("a watch from revision %d: %v", at, err)
	}
	return "", failed("a watch from revision %d, which the restored cluster never had, was accepted: its client believes the past", at)
}

// record turns what was read into checks.
func (r *run) record(k *reading, up error) {
	r.report.APIServer = &APIServer{Version: r.apiserver, Resources: k.resources()}
	switch {
	case up != nil && k.failed() == 0:
		r.report.check(CheckAPIServer, r.version(), Failed, "%s", up)
	case up != nil || !k.whole():
		r.report.check(CheckAPIServer, r.version(), Untested, "kube-apiserver %s serves, and cannot be ready without what it could not read", r.apiserver)
	default:
		r.report.check(CheckAPIServer, r.version(), Passed, "kube-apiserver %s is ready, on %s", r.apiserver, countOf(len(r.cluster.Nodes), "member"))
	}
	for _, result := range []Result{Failed, Untested} {
		for _, l := range k.lists {
			if l.result == result {
				r.report.check(CheckObjects, r.version(), result, "%s: %s", l.resource, l.detail)
			}
		}
		if result == Untested {
			for _, a := range k.absent {
				r.report.check(CheckObjects, r.version(), Untested, "%s: another API server would have to serve it (%v)", a.API, a.Err)
			}
		}
	}
	if k.failed() == 0 {
		r.report.check(CheckObjects, r.version(), Passed, "%s", k.summary())
	}
	if k.unread.empty() {
		r.report.check(CheckUnread, r.version(), Passed, "every key below %s belongs to a resource that this API server knows", registry)
		return
	}
	r.report.check(CheckUnread, r.version(), Untested, "no API of kube-apiserver %s reads %s", r.apiserver, k.unread)
	r.o.Log.Warn("there is data which this API server does not read", "keys", k.unread.String())
}

// APIServer is what a kube-apiserver made of the restored objects.
type APIServer struct {
	Version   string     `json:"version"` // as its binary says
	Resources []Resource `json:"resources"`
}

// Resource is one resource of Kubernetes, and how listing it went.
type Resource struct {
	Name    string `json:"name"`    // as kubectl has it: pods, ingresses.networking.k8s.io
	Version string `json:"version"` // of the API that was asked
	Objects int64  `json:"objects"` // that were listed
	Result  Result `json:"result"`
	Detail  string `json:"detail,omitempty"` // why it failed or was not tested
}

// readAll lists every object of every resource.
func readAll(ctx context.Context, server *apiserver.Server, before keyset) (*reading, error) {
	k := &reading{server: server, before: before}
	if err := k.discover(ctx); err != nil {
		return nil, failed("%v", err)
	}
	for _, r := range k.found {
		if r.String() == "componentstatuses" { // not stored: asks other components of this machine how they are
			continue
		}
		l := &listing{resource: r, result: Passed}
		k.lists = append(k.lists, l)
		l.err = server.List(ctx, r, func(text json.RawMessage) error { return k.see(l, text) })
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if server.Err() != nil {
			return nil, failed("while %s were listed: %v", r, server.Err())
		}
	}
	return k, nil
}

// discover asks what can be listed, until every CustomResourceDefinition is served or has had its time.
func (k *reading) discover(ctx context.Context) (err error) {
	for deadline := time.Now().Add(aggregated); ; {
		if k.found, k.absent, err = k.server.Discover(ctx); err != nil {
			return err
		}
		if err := k.definitions(ctx); err != nil || len(k.undiscovered()) == 0 || time.Now().After(deadline) {
			return ctx.Err() // that definitions cannot be read is found again when they are listed
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// apiserverOf asks the kube-apiserver binary for its version; "" if none is wanted.
func apiserverOf(ctx context.Context, o Options) (version string, err error) {
	if o.APIServer == "" {
		if len(o.APIServerArgs) > 0 {
			return "", &BinaryError{Path: `""`, APIServer: true, Err: errors.New("there are arguments for it, and no binary")}
		}
		return "", nil
	}
	if version, err = apiserver.Version(ctx, o.APIServer, o.APIServerArgs); err != nil && ctx.Err() == nil {
		return "", &BinaryError{Path: o.APIServer, APIServer: true, Err: err}
	}
	return version, err
}
