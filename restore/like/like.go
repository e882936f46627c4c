// Package like reads what a file that starts an etcd says of that one member: a static pod manifest as kubeadm writes it, a
// configuration file of etcd, a unit of systemd, or the environment file of one.
//
// It takes name, addresses, data directory, quota and user of the member itself, and never who else belongs to the cluster:
// kubeadm writes only the node itself there, others leave there what was true when the cluster was founded. It is pure: what
// it needs of the machine, it is given as a Host.
package like

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Kind is what kind of file a member was read from.
type Kind string

// The kinds, as messages call them.
const (
	StaticPod   Kind = "static pod manifest"
	Config      Kind = "etcd configuration file"
	Unit        Kind = "systemd unit"
	Environment Kind = "environment file"
)

// DefaultQuota is etcd's own, in bytes, where a file sets none.
const DefaultQuota = 2 << 30

// A Node is one member as its file describes it. What the file leaves out is empty.
type Node struct {
	File       string
	Kind       Kind
	Name       string
	PeerURLs   []string // --initial-advertise-peer-urls
	ClientURLs []string // --advertise-client-urls
	DataDir    string   // as the machine sees it, absolute
	Quota      int64    // --quota-backend-bytes in bytes; 0 is etcd's default
	User       string   // whom its etcd runs as, by name or number; "" is nobody in particular, which is root
	Group      string   // the same; "" is the user's own group
}

// A Host is the machine that the file is of.
type Host struct {
	Name     string                            // its host name, for %H in units
	ReadFile func(path string) ([]byte, error) // the files a unit reads its environment from
}

// An Error is a file that does not tell what is wanted: which file, what is missing or wrong, and what to give instead.
type Error struct{ File, Reason, Advice string }

func (e *Error) Error() string { return e.File + " " + e.Reason }

// Hint tells what to give instead.
func (e *Error) Hint() string { return e.Advice }

// Parse finds out what kind of file data is, by its content, and reads the member from it. file is its path, for messages and
// as the name of a unit. Errors are *Error.
func Parse(file string, data []byte, h Host) (Node, error) {
	n := Node{File: file}
	var s settings
	var err error
	switch kindOf(data) {
	case Unit:
		n.Kind = Unit
		s, err = n.fromUnit(string(data), h)
	case Environment:
		n.Kind = Environment
		s = settings{env: parseEnvironment(string(data))}
	default:
		s, err = n.fromYAML(data)
	}
	if err == nil {
		err = n.take(s)
	}
	if err == nil {
		return n, nil
	}
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{File: file, Reason: err.Error()}
	}
	if known.Advice == "" {
		known.Advice = accepted
	}
	return Node{}, known
}

// accepted says what a file may be.
const accepted = "give the file that starts this member's etcd: /etc/kubernetes/manifests/etcd.yaml, a configuration file of etcd, or its systemd unit; " +
	"or leave --like out, and give --member NAME and --data-dir DIR"

// kindOf tells a unit and an environment file from YAML by their lines; "" is neither.
func kindOf(data []byte) Kind {
	assignments := 0
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line == "[Service]":
			return Unit
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			// another section of a unit
		case isVariable(strings.TrimPrefix(line, "export ")):
			assignments++
		}
	}
	if assignments > 0 && !strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
		return Environment
	}
	return ""
}

// isVariable reports whether a line sets a variable of etcd's.
func isVariable(line string) bool {
	name, _, ok := strings.Cut(line, "=")
	return ok && strings.HasPrefix(name, "ETCD_") && !strings.ContainsAny(name, " \t:\"'")
}

// settings are what an etcd is started with: flags win over the environment, as with etcd itself.
type settings struct {
	flags, env map[string]string
	workDir    string                           // that a relative data directory lies in; "" if nobody knows
	place      func(dir string) (string, error) // where a directory of the container lies on the machine; nil: there is no container
}

// get is the value of a flag, or of its variable.
func (s settings) get(flag string) (string, bool) {
	if v, ok := s.flags[flag]; ok {
		return v, true
	}
	v, ok := s.env["ETCD_"+strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))]
	return v, ok && v != "" // as etcd does
}

// take makes the settings those of the node.
func (n *Node) take(s settings) error {
	if other, ok := s.get("config-file"); ok && other != "" && n.Kind != Config {
		return &Error{n.File, "lets etcd read " + other + ", and etcd ignores everything else then", "give that file: --like " + other}
	}
	values := map[string]string{}
	for _, flag := range []string{"name", "data-dir", "initial-advertise-peer-urls", "advertise-client-urls", "quota-backend-bytes"} {
		v, _ := s.get(flag)
		if i := strings.Index(v, "$"); i >= 0 {
			return &Error{n.File, fmt.Sprintf("sets %s to %q, and does not tell what %s is", flag, v, v[i:]), "write the value in a copy of the file, and give that; or give --member NAME and --data-dir DIR"}
		}
		values[flag] = strings.TrimSpace(v)
	}
	n.Name = values["name"]
	n.PeerURLs, n.ClientURLs = list(values["initial-advertise-peer-urls"]), list(values["advertise-client-urls"])
	if q := values["quota-backend-bytes"]; q != "" {
		var err error
		if n.Quota, err = strconv.ParseInt(q, 0, 64); err != nil {
			return fmt.Errorf("sets quota-backend-bytes to %q, which is no number of bytes", q)
		}
	}
	if err := n.takeDataDir(values["data-dir"], s); err != nil {
		return err
	}
	return n.refuseLogElsewhere(s)
}

// refuseLogElsewhere stops at a write-ahead log outside of the data directory: etcd would look there after a restore, find the old one
// or none, and found an empty cluster or go on with the old one.
func (n *Node) refuseLogElsewhere(s settings) error {
	dir, _ := s.get("wal-dir")
	if dir == "" || n.DataDir != "" && s.place == nil && path.Clean(dir) == path.Join(n.DataDir, "member", "wal") {
		return nil
	}
	return &Error{
		n.File, "keeps the write-ahead log in " + dir + ", and a restored member has it in its data directory, where this etcd would not look",
		"take wal-dir out of the file, and move that directory aside; then restore with it",
	}
}

func (n *Node) takeDataDir(dir string, s settings) error {
	if dir == "" {
		return nil
	}
	if !path.IsAbs(dir) {
		if s.workDir == "" {
			return &Error{n.File, fmt.Sprintf("sets data-dir to %q, and does not tell in which directory its etcd is started", dir), "give --data-dir with an absolute path"}
		}
		dir = path.Join(s.workDir, dir)
	}
	dir = path.Clean(dir)
	if s.place != nil {
		var err error
		if dir, err = s.place(dir); err != nil {
			return err
		}
	}
	n.DataDir = dir
	return nil
}

// list takes a value with commas apart.
func list(v string) []string {
	var all []string
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

// parseFlags reads --name=value, --name value and -name; what is no flag is passed over, as in the arguments of a shell around it.
func parseFlags(args []string) map[string]string {
	flags := map[string]string{}
	for i := 0; i < len(args); i++ {
		name, dashed := strings.CutPrefix(args[i], "-")
		if !dashed {
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		if !given && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			value = args[i]
		}
		flags[name] = value
	}
	return flags
}

// etcdArgs are the arguments after the word that names etcd's program.
func etcdArgs(words []string) ([]string, bool) {
	i := slices.IndexFunc(words, func(w string) bool { return path.Base(w) == "etcd" })
	if i < 0 {
		return nil, false
	}
	return words[i+1:], true
}

// fromYAML reads a static pod or a configuration file.
func (n *Node) fromYAML(data []byte) (settings, error) {
	var doc struct {
		Kind string `yaml:"kind"`
	}
	var all map[string]any
	if err := yaml.Unmarshal(data, &all); err != nil || len(all) == 0 {
		return settings{}, errors.New("is neither a static pod manifest, nor a configuration file of etcd, nor a systemd unit")
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return settings{}, errors.New("has a kind that is no word")
	}
	switch {
	case doc.Kind == "Pod":
		n.Kind = StaticPod
		return n.fromPod(data)
	case doc.Kind != "":
		return settings{}, fmt.Errorf("is a %s of Kubernetes, not a static pod manifest", doc.Kind)
	}
	s := settings{flags: map[string]string{}}
	for key, v := range all {
		switch v := v.(type) {
		case string:
			s.flags[key] = v
		case int, int64, uint64:
			s.flags[key] = fmt.Sprint(v)
		}
	}
	if !slices.ContainsFunc([]string{"name", "data-dir", "initial-advertise-peer-urls", "advertise-client-urls", "listen-client-urls", "listen-peer-urls"},
		func(key string) bool { _, ok := all[key]; return ok }) {
		return s, errors.New("is YAML, and neither a static pod manifest nor a configuration file of etcd: it has no name, data-dir or …-urls")
	}
	n.Kind = Config
	return s, nil
}
