package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
	"github.com/lifeboat-dr/lifeboat/internal/pki"
)

const (
	// future is how far a client may have seen on after the backup was taken, in revisions, when its watch is tried.
	future = 1000
	// watchPatience is how long a watch is listened to that should have been refused.
	watchPatience = 5 * time.Second
)

// kubernetes runs a kube-apiserver on the restored members, on which a restore for real would have put one, and asks it for every
// object there is.
func (r *run) kubernetes(ctx context.Context, m *made) error {
	before, err := registryKeys(ctx, r.cluster.Nodes[0])
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

func (r *run) askAPIServer(ctx context.Context, server *apiserver.Server, before *keyset, began time.Time) error {
	// One that lives and is not ready may already say which object it cannot read, and may end because of it.
	up := server.Answers(ctx, r.timeout/3)
	var k *reading
	if up != nil && server.Err() == nil && ctx.Err() == nil {
		if early, err := r.readAll(ctx, server, before); err == nil && early.unreadable() {
			k = early
		} else {
			up = server.Answers(ctx, r.timeout)
		}
	}
	r.report.phase("apiserver", "", time.Since(began), false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if k == nil {
		if up != nil {
			return r.noAPIServer(ctx, failed("%v", up))
		}
		began = time.Now()
		var err error
		k, err = r.readAll(ctx, server, before)
		r.report.phase("list-objects", "", time.Since(began), false)
		if err != nil {
			return r.noAPIServer(ctx, err)
		}
	}
	// With values that it has no key for it never is.
	if up == nil && k.count(Failed) == 0 && !k.sealed() {
		up = server.Ready(ctx, r.timeout)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.record(k, up)
	if up != nil || k.count(Failed) > 0 {
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
	if k.unreadable() && r.report.Reason == "" {
		r.report.Remedy = "etcd comes back whole: look at the named objects in the live cluster, mend or remove them there, and back up again; an API server of " +
			"another version may read them"
	}
	switch {
	case up != nil && k.count(Failed) == 0:
		r.report.check(CheckAPIServer, r.version(), Failed, "%s", up)
	case k.count(Failed) > 0 || k.sealed():
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
	}
	if k.count(Failed) > 0 {
		return // what else there is to say may be its consequence
	}
	for _, a := range k.absent {
		r.report.check(CheckObjects, r.version(), Untested, "%s: another API server would have to serve it (%v)", a.API, a.Err)
	}
	r.report.check(CheckObjects, r.version(), Passed, "%s", k.summary())
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
