package main

import (
	"fmt"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"
)

// global is what every command is built from: where it writes and what time it is.
type global struct {
	streams
	now func() time.Time
}

// flags holds the values of the flags that commands share. A command registers the groups it uses; what was given
// neither as a flag nor as its LIFEBOAT_ twin is filled from the configuration file.
type flags struct {
	config, cluster string
	read            *configFile // what is in config, where somebody has read it already
	unattended      bool        // there is nobody to ask for a passphrase
	output          string

	sinks    []string
	readBack string                // of backup, for all sinks; "": as the configuration says
	known    map[string]sinkConfig // the sinks of the configuration, by name
	opened   *opened               // of a process that runs many commands; nil otherwise

	endpoints                  []string
	cacert, cert, key          string
	user, passwordFile         string
	recipientsFile, encryption string
	identities                 []string
	identityPassphraseFile     string
	loaded                     []age.Identity // by keys, which asks once
	signingKeyFile             string
	trustedKeysFile            string
	acceptUnsigned             bool

	retention retentionConfig // from the configuration; prune has flags of its own
	heartbeat heartbeat       // from the configuration; of backup

	events events     // of the end
	found  eventFacts // for them
}

// everywhere registers the flags that every command which does something has.
func (f *flags) everywhere(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.config, "config", "", "configuration `FILE` (YAML)")
	fl.StringVar(&f.cluster, "cluster", "", "`NAME` of the cluster in the configuration and in the bucket (backup: \"default\" if none is given)")
	fl.Duration(timeoutFlag, 0, "give up after this long altogether (0: never; a stalled transfer is always given up)")
	f.printing(cmd)
}

func (f *flags) printing(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "`FORMAT` of the result: table or json")
}

func (f *flags) storage(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.sinks, "sink", nil, "where backups live: s3://BUCKET/PREFIX?region=…, gs://BUCKET/PREFIX, file:///DIR, or the name of a sink in the configuration (repeatable)")
}

func (f *flags) etcd(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&f.endpoints, "endpoints", nil, "client `URLS` of the etcd members, with commas between; without a scheme it means http://")
	fl.StringVar(&f.cacert, "cacert", "", "`FILE` with the CA that signed the members' certificates")
	fl.StringVar(&f.cert, "cert", "", "`FILE` with our client certificate")
	fl.StringVar(&f.key, "key", "", "`FILE` with its key")
	fl.StringVar(&f.user, "user", "", "etcd user `NAME`, where authentication is on (it needs the root role)")
	fl.StringVar(&f.passwordFile, "password-file", "", "`FILE` with that user's password")
}

func (f *flags) sealing(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.recipientsFile, "recipients-file", "", "`FILE` with the age recipients a backup is sealed to")
	fl.StringVar(&f.encryption, "encryption", "age", "age, or none to store backups that anyone can read")
	f.signing(cmd)
}

func (f *flags) signing(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.signingKeyFile, "signing-key-file", "", "`FILE` with the key that signs what is written to the sinks (optional)")
}

func (f *flags) opening(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.identities, "identity", nil, "`FILE` with an age identity that opens the backup (repeatable)")
	cmd.Flags().StringVar(&f.identityPassphraseFile, "identity-passphrase-file", "", "`FILE` with the passphrase of the identity files that have one (default: asked on the terminal)")
}

func (f *flags) trusting(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.trustedKeysFile, "trusted-keys-file", "", "`FILE` with the keys whose signature a manifest must carry")
	fl.BoolVar(&f.acceptUnsigned, "accept-unsigned", false, "accept a manifest without a signature although keys are trusted")
}

// check looks at the values that no package below would complain about.
func (f *flags) check() error {
	if f.output != "table" && f.output != "json" {
		return &usageError{fmt.Sprintf("--output %q is not a format", f.output), "use table or json"}
	}
	if f.encryption != "" && f.encryption != "age" && f.encryption != "none" {
		return &usageError{fmt.Sprintf("--encryption %q is not a way to encrypt", f.encryption), "use age, or none to store backups that anyone can read"}
	}
	if f.cluster != "" && strings.ContainsAny(f.cluster, "/\\ \t\n") {
		return &usageError{fmt.Sprintf("--cluster %q is not a name", f.cluster), "use letters, digits, dots, dashes and underscores"}
	}
	return nil
}
