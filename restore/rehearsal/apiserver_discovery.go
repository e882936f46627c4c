package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
)

// aggregated is how long the server may take to serve what a CustomResourceDefinition tells it to.
const aggregated = 30 * time.Second

// readAll lists every object of every resource, and judges.
func (r *run) readAll(ctx context.Context, server *apiserver.Server, before *keyset) (*reading, error) {
	k := &reading{server: server, before: before}
	if err := k.discover(ctx); err != nil {
		return nil, failed("%v", err)
	}
	for _, res := range k.found {
		if res.String() == "componentstatuses" { // not stored: asks other components of this machine how they are
			continue
		}
		l := &listing{resource: res, result: Passed}
		k.lists = append(k.lists, l)
		l.err = server.List(ctx, res, func(text json.RawMessage) error { return k.see(l, text) })
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if server.Err() != nil {
			return nil, failed("while %s were listed: %v", res, server.Err())
		}
	}
	return k, k.judge(ctx, r.cluster.Nodes[0])
}

// discover asks what can be listed, until every CustomResourceDefinition is served or has had its time.
func (k *reading) discover(ctx context.Context) (err error) {
	for deadline := time.Now().Add(aggregated); ; {
		if k.found, k.absent, err = k.server.Discover(ctx); err != nil {
			return err
		}
		// That one of these cannot be read is found again when all are listed.
		if err := errors.Join(k.definitions(ctx), k.delegations(ctx)); err != nil || len(k.undiscovered()) == 0 || time.Now().After(deadline) {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// definition is a CustomResourceDefinition, as far as it matters here.
type definition struct {
	Spec struct {
		Group      string
		Names      struct{ Plural string }
		Conversion struct{ Strategy string }
		Versions   []struct {
			Name   string
			Served bool
		}
	}
	Status struct {
		Conditions []struct{ Type, Status string }
	}
}

func (d definition) String() string { return d.Spec.Names.Plural + "." + d.Spec.Group }

// served tells whether its resource was served where the backup comes from, by that API server itself.
func (d definition) served(remote map[string]bool) (served bool) {
	for _, v := range d.Spec.Versions {
		served = served || v.Served && !remote[d.Spec.Group+"/"+v.Name]
	}
	established := false
	for _, c := range d.Status.Conditions {
		established = established || c.Type == "Established" && c.Status == "True"
	}
	return served && established
}

// definitions reads them anew.
func (k *reading) definitions(ctx context.Context) error {
	k.custom = nil
	crds := apiserver.Resource{Group: "apiextensions.k8s.io", Version: "v1", Name: "customresourcedefinitions"}
	return k.server.List(ctx, crds, func(text json.RawMessage) error {
		var d definition
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		k.custom = append(k.custom, d)
		return nil
	})
}

// delegations reads which APIs other servers answer for.
func (k *reading) delegations(ctx context.Context) error {
	k.remote = map[string]bool{}
	services := apiserver.Resource{Group: "apiregistration.k8s.io", Version: "v1", Name: "apiservices"}
	return k.server.List(ctx, services, func(text json.RawMessage) error {
		var s struct {
			Spec struct {
				Group, Version string
				Service        *struct{}
			}
		}
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		if s.Spec.Service != nil {
			k.remote[s.Spec.Group+"/"+s.Spec.Version] = true
		}
		return nil
	})
}

// undiscovered are the resources that a definition should have the server serve, and it does not.
func (k *reading) undiscovered() (all []definition) {
	for _, d := range k.custom {
		there := func(r apiserver.Resource) bool { return r.String() == d.String() }
		if d.served(k.remote) && !slices.ContainsFunc(k.found, there) {
			all = append(all, d)
		}
	}
	return all
}
