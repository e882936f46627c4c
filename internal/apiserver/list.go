package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
)

const (
	// pageSize is how many objects are asked for at a time, as kubectl does.
	pageSize = 500
	// restarts is how often a list may begin anew because its history was compacted under it.
	restarts = 3
)

// A Resource is something the server can list.
type Resource struct {
	Group, Version, Name string // Group is "" for the oldest ones: pods, secrets
	Namespaced           bool
}

// String is the resource as kubectl has it: pods, ingresses.networking.k8s.io.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Name
	}
	return r.Name + "." + r.Group
}

func (r Resource) prefix() string {
	if r.Group == "" {
		return "/api/" + r.Version
	}
	return "/apis/" + r.Group + "/" + r.Version
}

func (r Resource) path() string { return r.prefix() + "/" + r.Name }

// Path is where one object of it is had.
func (r Resource) Path(namespace, name string) string {
	if !r.Namespaced {
		return r.path() + "/" + url.PathEscape(name)
	}
	return r.prefix() + "/namespaces/" + url.PathEscape(namespace) + "/" + r.Name + "/" + url.PathEscape(name)
}

// An Absent is an API which the server names and does not answer for, since another server would have to.
type Absent struct {
	API string // GROUP/VERSION
	Err error
}

// Discover lists what can be listed: every resource once, in the version that the server prefers where it is served in
// several.
func (a *Server) Discover(ctx context.Context) (all []Resource, absent []Absent, err error) {
	type version struct{ Version string }
	var groups struct {
		Groups []struct {
			Name             string
			PreferredVersion version
			Versions         []version
		}
	}
	if err := a.Get(ctx, "/apis", &groups); err != nil {
		return nil, nil, fmt.Errorf("ask for the API groups: %w", err)
	}
	known := map[string]bool{}
	add := func(group, version string) {
		found, err := a.resources(ctx, group, version)
		if err != nil {
			absent = append(absent, Absent{group + "/" + version, err})
		}
		for _, r := range found {
			if !known[r.String()] {
				known[r.String()] = true
				all = append(all, r)
			}
		}
	}
	add("", "v1")
	for _, g := range groups.Groups {
		add(g.Name, g.PreferredVersion.Version)
		for _, v := range g.Versions {
			if v != g.PreferredVersion {
				add(g.Name, v.Version)
			}
		}
	}
	return all, absent, ctx.Err()
}

func (a *Server) resources(ctx context.Context, group, version string) (all []Resource, err error) {
	var list struct {
		Resources []struct {
			Name       string
			Namespaced bool
			Verbs      []string
		}
	}
	if err := a.Get(ctx, Resource{Group: group, Version: version}.prefix(), &list); err != nil {
		return nil, err
	}
	for _, r := range list.Resources { // a subresource is not listable
		if slices.Contains(r.Verbs, "list") {
			all = append(all, Resource{group, version, r.Name, r.Namespaced})
		}
	}
	return all, nil
}

// List lists every object of a resource, page by page, and hands each as it came to see, some of them twice if the list had to begin
// anew. It holds one object at a time.
func (a *Server) List(ctx context.Context, r Resource, see func(object json.RawMessage) error) error {
	next := ""
	for began := 1; ; {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		if next != "" {
			query.Set("continue", next)
		}
		err := a.patiently(ctx, r.path()+"?"+query.Encode(), func(body io.Reader) (err error) {
			next, err = page(body, see)
			return err
		})
		switch {
		case errors.Is(err, ErrExpired) && next != "" && began < restarts:
			began++
			next = ""
		case err != nil:
			return err
		case next == "":
			return nil
		}
	}
}

// page reads one page of a list and answers where the next one begins.
func page(body io.Reader, see func(json.RawMessage) error) (next string, err error) {
	d := json.NewDecoder(body)
	if err := expect(d, json.Delim('{')); err != nil {
		return "", err
	}
	for d.More() {
		field, err := d.Token()
		if err != nil {
			return "", err
		}
		switch field {
		case "metadata":
			var meta struct{ Continue string }
			if err := d.Decode(&meta); err != nil {
				return "", err
			}
			next = meta.Continue
		case "items":
			if err := items(d, see); err != nil {
				return "", err
			}
		default:
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return "", err
			}
		}
	}
	return next, expect(d, json.Delim('}'))
}

func items(d *json.Decoder, see func(json.RawMessage) error) error {
	first, err := d.Token()
	if err != nil || first == nil { // null is an empty list
		return err
	}
	if first != json.Delim('[') {
		return fmt.Errorf("the items of a list begin with %v", first)
	}
	for d.More() {
		var object json.RawMessage
		if err := d.Decode(&object); err != nil {
			return err
		}
		if err := see(object); err != nil {
			return err
		}
	}
	return expect(d, json.Delim(']'))
}

func expect(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%v where %v was expected", got, want)
	}
	return nil
}
