package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/lifeboat-dr/lifeboat/catalog"
)

// configFile is the YAML file behind --config. Its keys are the flags' names; docs/configuration.md describes them.
type configFile struct {
	Clusters   []clusterConfig       `yaml:"clusters"`
	Sinks      map[string]sinkConfig `yaml:"sinks"`
	Encryption struct {
		Mode           string   `yaml:"mode"`
		RecipientsFile string   `yaml:"recipients-file"`
		Identity       []string `yaml:"identity"`
		PassphraseFile string   `yaml:"identity-passphrase-file"`
	} `yaml:"encryption"`
	Signing struct {
		KeyFile         string `yaml:"key-file"`
		TrustedKeysFile string `yaml:"trusted-keys-file"`
	} `yaml:"signing"`

	stores opened // while a service goes by this file
}

type clusterConfig struct {
	Name      string   `yaml:"name"`
	Endpoints []string `yaml:"endpoints"`
	TLS       struct {
		CA   string `yaml:"ca"`
		Cert string `yaml:"cert"`
		Key  string `yaml:"key"`
	} `yaml:"tls"`
	User         string   `yaml:"user"`
	PasswordFile string   `yaml:"password-file"`
	Sinks        []string `yaml:"sinks"`

	Retention retentionConfig `yaml:"retention"`

	serviceConfig `yaml:",inline"` // for run
}

// retentionConfig is what the configuration says of a cluster's retention: the same keys as the flags.
type retentionConfig struct {
	Last    int           `yaml:"last"`
	Hourly  int           `yaml:"hourly"`
	Daily   int           `yaml:"daily"`
	Weekly  int           `yaml:"weekly"`
	Monthly int           `yaml:"monthly"`
	Yearly  int           `yaml:"yearly"`
	Within  time.Duration `yaml:"within"`
	Floor   *int          `yaml:"floor"` // nil if it is not there: 0 is a mistake to be told
}

// readConfig reads and checks a configuration file. A key it does not know is an error with the line: a misspelt
// `recipients-fle` must not become a backup without encryption. What it could read is returned even if the check fails.
func readConfig(path string) (*configFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("configuration: %v", err), "give the path of a readable file to --config"}
	}
	c := &configFile{}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, &usageError{fmt.Sprintf("configuration %s: %s", path, yamlComplaint(err)), "docs/configuration.md lists every key"}
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, &usageError{fmt.Sprintf("configuration %s: holds more than one YAML document", path), "keep one, without `---` lines"}
	}
	c.relativeTo(filepath.Dir(path))
	return c, c.check(path)
}

// relativeTo makes file names in the configuration relative to the folder that holds it, not to wherever we were started.
func (c *configFile) relativeTo(dir string) {
	fix := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	fix(&c.Encryption.RecipientsFile)
	fix(&c.Encryption.PassphraseFile)
	for i := range c.Encryption.Identity {
		fix(&c.Encryption.Identity[i])
	}
	fix(&c.Signing.KeyFile)
	fix(&c.Signing.TrustedKeysFile)
	for i := range c.Clusters {
		k := &c.Clusters[i]
		fix(&k.TLS.CA)
		fix(&k.TLS.Cert)
		fix(&k.TLS.Key)
		fix(&k.PasswordFile)
		if k.Rehearse != nil {
			for i := range k.Rehearse.Etcd {
				fix(&k.Rehearse.Etcd[i])
			}
		}
	}
	for name, s := range c.Sinks {
		fix(&s.CredentialsFile)
		fix(&s.CAFile)
		c.Sinks[name] = s
	}
}

// check finds what is wrong in the file by itself: all of it, so that nobody mends one thing after the other.
func (c *configFile) check(path string) error {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	for i, k := range c.Clusters {
		if k.Name == "" {
			complain("cluster %d has no name", i+1)
			continue
		}
		if seen[k.Name] {
			complain("two clusters are called %q", k.Name)
		}
		seen[k.Name] = true
		for _, s := range k.Sinks {
			if _, ok := c.Sinks[s]; !ok {
				complain("cluster %q names sink %q, which is not under sinks", k.Name, s)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		if c.Sinks[name].URL == "" {
			complain("sink %q has no url", name)
		}
		if _, err := catalog.ParseReadBackMode(c.Sinks[name].ReadBack); err != nil {
			complain("sink %q: read-back: %v", name, err)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return &usageError{fmt.Sprintf("configuration %s: %s", path, strings.Join(wrong, "; ")), "docs/configuration.md shows a complete file"}
}

var (
	unknownField = regexp.MustCompile(`^(line \d+): field (\S+) not found in type `)
	wrongShape   = regexp.MustCompile(`^(line \d+): cannot unmarshal !!(\w+)(?s:.*?) into (.*)$`)
)

// yamlComplaint says in our users' words what the YAML decoder says in Go's.
func yamlComplaint(err error) string {
	var shapes *yaml.TypeError
	if !errors.As(err, &shapes) {
		return strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
	}
	var all []string
	told := map[string]bool{} // what stands under an anchor is complained of once more wherever that is used
	for _, e := range shapes.Errors {
		if told[e] {
			continue
		}
		told[e] = true
		if m := unknownField.FindStringSubmatch(e); m != nil {
			all = append(all, fmt.Sprintf("%s: unknown key %q", m[1], m[2]))
		} else if m := wrongShape.FindStringSubmatch(e); m != nil {
			all = append(all, fmt.Sprintf("%s: found %s where %s belongs", m[1], yamlShape(m[2]), goShape(m[3])))
		} else {
			all = append(all, strings.Join(strings.Fields(e), " "))
		}
	}
	return strings.Join(all, "; ")
}

// yamlShape names what a YAML tag stands for.
func yamlShape(tag string) string {
	switch tag {
	case "seq":
		return "a list"
	case "map":
		return "keys with values"
	case "null":
		return "nothing"
	case "int", "float":
		return "a number"
	}
	return "text"
}

// goShape names what a Go type reads.
func goShape(kind string) string {
	switch {
	case strings.HasPrefix(kind, "[]"):
		return "a list"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "time.Duration":
		return "a duration like 36h"
	case kind == "bool":
		return "true or false"
	case kind == "string":
		return "text"
	}
	return "a block of keys with values"
}

// settle fills what was given neither as a flag nor in the environment from the configuration file, and returns the sinks.
func (f *flags) settle(cmd *cobra.Command) ([]sinkPlace, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	c, k := &configFile{}, &clusterConfig{}
	if f.config != "" {
		var err error
		if c = f.read; c == nil {
			c, err = readConfig(f.config)
		}
		if err != nil {
			return nil, err
		}
		if k, err = c.cluster(f.cluster); err != nil {
			return nil, err
		}
	}
	f.known = c.Sinks
	f.fill(cmd, c, k)
	if err := f.check(); err != nil {
		return nil, err
	}
	var places []sinkPlace
	for _, named := range f.sinks {
		p, err := f.place("--sink", named)
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	if len(places) == 0 {
		for _, name := range k.Sinks {
			places = append(places, c.Sinks[name].place())
		}
	}
	return f.readAllBack(places)
}

// cluster picks the named cluster, or the only one.
func (c *configFile) cluster(name string) (*clusterConfig, error) {
	var names []string
	for i := range c.Clusters {
		if c.Clusters[i].Name == name || name == "" && len(c.Clusters) == 1 {
			return &c.Clusters[i], nil
		}
		names = append(names, c.Clusters[i].Name)
	}
	if name == "" && len(names) == 0 {
		return &clusterConfig{}, nil
	}
	if name == "" {
		return nil, &usageError{"the configuration has several clusters", "choose one with --cluster: " + strings.Join(names, ", ")}
	}
	return nil, &usageError{fmt.Sprintf("the configuration has no cluster %q", name), "it has: " + strings.Join(names, ", ")}
}

// fill takes from the configuration what no flag said. Values are only ever taken for flags that cmd has.
func (f *flags) fill(cmd *cobra.Command, c *configFile, k *clusterConfig) {
	text := func(flag string, at *string, value string) {
		if value != "" && !cmd.Flags().Changed(flag) {
			*at = value
		}
	}
	list := func(flag string, at *[]string, values []string) {
		if len(values) > 0 && !cmd.Flags().Changed(flag) {
			*at = values
		}
	}
	f.retention, f.heartbeat = k.Retention, k.Heartbeat
	text("cluster", &f.cluster, k.Name)
	list("endpoints", &f.endpoints, k.Endpoints)
	text("cacert", &f.cacert, k.TLS.CA)
	text("cert", &f.cert, k.TLS.Cert)
	text("key", &f.key, k.TLS.Key)
	text("user", &f.user, k.User)
	text("password-file", &f.passwordFile, k.PasswordFile)
	text("encryption", &f.encryption, c.Encryption.Mode)
	text("recipients-file", &f.recipientsFile, c.Encryption.RecipientsFile)
	list("identity", &f.identities, c.Encryption.Identity)
	text("identity-passphrase-file", &f.identityPassphraseFile, c.Encryption.PassphraseFile)
	text("signing-key-file", &f.signingKeyFile, c.Signing.KeyFile)
	text("trusted-keys-file", &f.trustedKeysFile, c.Signing.TrustedKeysFile)
}
