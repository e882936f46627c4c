package snapshot

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

const (
	kubernetesPrefix = "/registry/"
	encryptedPrefix  = "k8s:enc:"

	maxEncryptionKeys = 1000
	maxKeyName        = 256
)

// An EncryptionKey is one key of a kube-apiserver's EncryptionConfiguration without which some values cannot be read. For KMS
// it is the name of the plugin.
type EncryptionKey struct {
	Provider string `json:"provider"` // aescbc, aesgcm, secretbox, kms
	Version  string `json:"version"`  // v1, v2
	Key      string `json:"key"`
	Values   int64  `json:"values"` // how many live values name it
}

// encryptionKeys counts which keys the live values name.
type encryptionKeys map[EncryptionKey]int64

// see looks at one live value. Encrypted ones begin with k8s:enc:PROVIDER:VERSION:KEY: (k8s.io/apiserver,
// options/encryptionconfig); the rest of the value is ciphertext.
func (e encryptionKeys) see(value []byte) {
	rest, ok := bytes.CutPrefix(value, []byte(encryptedPrefix))
	if !ok {
		return
	}
	parts := strings.SplitN(string(rest[:min(len(rest), maxKeyName)]), ":", 4)
	if len(parts) < 4 {
		parts = []string{"unknown", "", ""}
	}
	key := EncryptionKey{Provider: printable(parts[0]), Version: printable(parts[1]), Key: printable(parts[2])}
	if _, known := e[key]; known || len(e) < maxEncryptionKeys {
		e[key]++
	}
}

// printable keeps what may stand in a report: the values are a stranger's.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

func (e encryptionKeys) list() []EncryptionKey {
	var all []EncryptionKey
	for key, n := range e {
		key.Values = n
		all = append(all, key)
	}
	slices.SortFunc(all, func(a, b EncryptionKey) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Key, b.Key))
	})
	return all
}
