package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// bucket is what a command that reads or writes backups works on: every sink, and whose signatures count.
type bucket struct {
	sinks    []catalog.Named
	readBack map[string]catalog.ReadBackMode // by the sink's name
	cluster  string
	trust    catalog.Trust
	unread   []*catalog.Problem // sinks that list could not read
}

// bucket opens the sinks that flags or configuration name. It makes no request yet, so of what is a store's fault it tells only that not
// one of the directories is there.
func (f *flags) bucket(ctx context.Context, g *global, cmd *cobra.Command) (*bucket, error) {
	places, err := f.settle(cmd)
	if err != nil {
		return nil, err
	}
	if len(places) == 0 {
		return nil, &usageError{"no sink is given", "say where backups live with --sink, for example --sink file:///var/backups/etcd"}
	}
	b := &bucket{cluster: f.cluster, readBack: map[string]catalog.ReadBackMode{}}
	for _, p := range places {
		s, err := f.opened.open(ctx, g, p)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprint(s)
		if slices.ContainsFunc(b.sinks, func(other catalog.Named) bool { return other.Name == name }) {
			return nil, &usageError{"the sink " + name + " is given twice", "leave one of them out: two copies in one place are one copy"}
		}
		b.sinks = append(b.sinks, catalog.Named{Name: name, Sink: s})
		b.readBack[name] = p.readBack
	}
	if err := allAbsent(b.sinks); err != nil {
		return nil, err
	}
	if f.trustedKeysFile != "" {
		if b.trust, err = trustOf(f.trustedKeysFile); err != nil {
			return nil, err
		}
	}
	b.trust.AcceptUnsigned = f.acceptUnsigned
	return b, nil
}

func trustOf(path string) (catalog.Trust, error) {
	v, _, err := crypto.LoadVerifiers(path)
	if err != nil {
		return catalog.Trust{}, err
	}
	return catalog.Trust{Verifiers: v}, nil
}

// list reads the manifests of the cluster, and says on stderr what could not be read.
func (b *bucket) list(ctx context.Context, s streams) (catalog.Listing, error) {
	l, err := catalog.List(ctx, b.sinks, b.cluster, b.trust)
	s.tellProblems(l.Problems)
	b.unread = nil
	for _, p := range l.Problems {
		if p.Key == "" {
			b.unread = append(b.unread, p)
		}
	}
	if l.IgnoredMarks > 0 {
		s.warnf("%d marks without a trusted signature were ignored", l.IgnoredMarks)
	}
	if l.IgnoredReports > 0 {
		s.warnf("%d reports without a trusted signature were ignored", l.IgnoredReports)
	}
	return l, err
}

// findPayloads looks where payloads are missing, and says on stderr what could not be listed.
func (b *bucket) findPayloads(ctx context.Context, s streams, l *catalog.Listing) {
	before := len(l.Problems)
	l.FindPayloads(ctx, b.sinks)
	s.tellProblems(l.Problems[before:])
}

// holding are the sinks that hold the manifest of a backup.
func (b *bucket) holding(e catalog.Entry) []catalog.Named {
	var all []catalog.Named
	for _, s := range b.sinks {
		if slices.Contains(e.Sinks, s.Name) {
			all = append(all, s)
		}
	}
	return all
}

// signers reads the signing keys; none where no file is named. Where keys are trusted, one of them at least must be: what is signed by
// others only would be refused by whoever trusts the same keys, this very command included.
func (f *flags) signers(t catalog.Trust) ([]note.Signer, error) {
	if f.signingKeyFile == "" {
		return nil, nil
	}
	all, err := crypto.LoadSigners(f.signingKeyFile)
	if err != nil || t.Verifiers == nil {
		return all, err
	}
	var names []string
	for _, s := range all {
		if _, err := t.Verifiers.Verifier(s.Name(), s.KeyHash()); err == nil {
			return all, nil
		}
		names = append(names, fmt.Sprintf("%s+%08x", s.Name(), s.KeyHash()))
	}
	return nil, &usageError{
		fmt.Sprintf("the signing key %s of %s is not among the trusted keys of %s, so what it signs would be refused", strings.Join(names, ", "), f.signingKeyFile, f.trustedKeysFile),
		"add its public key (the .pub beside it) to --trusted-keys-file, here and wherever backups are read, or sign with a key that is trusted",
	}
}

// source says which etcd a backup is taken from.
func (f *flags) source() (snapshot.Config, error) {
	if len(f.endpoints) == 0 {
		return snapshot.Config{}, &usageError{"no etcd endpoint is given", "name the members with --endpoints https://10.0.0.5:2379,https://10.0.0.6:2379"}
	}
	return snapshot.Config{
		Endpoints: f.endpoints, CAFile: f.cacert, CertFile: f.cert, KeyFile: f.key,
		User: f.user, PasswordFile: f.passwordFile,
	}, nil
}

// recipients reads whom a backup is sealed to. There is no fallback: without recipients nothing is stored, unless
// --encryption none was written out.
func (f *flags) recipients(s streams) ([]crypto.Recipient, error) {
	if f.encryption == "none" {
		if f.recipientsFile != "" {
			return nil, &usageError{"--encryption none and --recipients-file contradict each other", "leave one of them out"}
		}
		s.warnf("--encryption none: whoever reads the sink reads every Secret of the cluster")
		return nil, nil
	}
	if f.recipientsFile == "" {
		return nil, &usageError{
			"no recipient is given, and a backup is never stored readable by anyone by default",
			"`lifeboat key new FILE` makes a key; give its FILE.pub to --recipients-file (or write --encryption none)",
		}
	}
	to, err := crypto.LoadRecipients(f.recipientsFile)
	if err == nil && len(to) == 1 {
		s.warnf("a single recipient: if its one identity is lost, so is every backup; add a second to %s", f.recipientsFile)
	}
	return to, err
}

// access are the flags that say where backups are and what opens them, as they were given here, for a command that is printed.
func (f *flags) access() []string {
	var args []string
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag, absolute(value))
		}
	}
	add("--config", f.config)
	if f.cluster != "" {
		args = append(args, "--cluster", f.cluster)
	}
	for _, s := range f.sinks { // a URL, or a name in the configuration
		args = append(args, "--sink", s)
	}
	for _, i := range f.identities {
		add("--identity", i)
	}
	add("--identity-passphrase-file", f.identityPassphraseFile)
	add("--trusted-keys-file", f.trustedKeysFile)
	return args
}

// absolute is a path that means the same wherever a command is run; no path stays none. Where that cannot be told, it is left as it was given.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
