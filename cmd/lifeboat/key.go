package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

func newKey(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make the keys that open backups and sign manifests, and give backups to new ones",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyNew(g), newKeyRewrap(g))
	return cmd
}

func newKeyNew(g *global) *cobra.Command {
	var (
		classic, signing bool
		name, publicFile string
		passphraseFile   string
	)
	cmd := &cobra.Command{
		Use:   "new FILE",
		Short: "Make an age identity (or, with --signing, a signing key) in FILE and its public half beside it",
		Long: `Make an age identity in FILE (mode 0600) and write its recipient to FILE.pub, which is what
--recipients-file takes. The identity is hybrid post-quantum (ML-KEM-768 with X25519); --classic makes an
X25519 one, for tools older than age 1.3. The two kinds cannot be mixed in one backup.

With --signing, FILE holds an Ed25519 key for --signing-key-file and FILE.pub its public half for
--trusted-keys-file.

With --passphrase-file, FILE is protected by the passphrase in that file, as age -p -a does: for a copy that lies in a safe.
Without the passphrase it is worth nothing, to anyone.

Whoever holds the identity reads every backup sealed to it; without it nobody does, Lifeboat included.
Keep copies in two places, neither of them the cluster or the bucket.

EXIT STATUS
  0 done, 2 usage (an existing FILE is never overwritten, a directory never made), 1 FILE cannot be written`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if classic && signing {
				return &usageError{"--classic is about encryption, --signing about signatures", "give one of the two"}
			}
			if passphraseFile != "" && signing {
				return &usageError{"--passphrase-file protects an identity, and a signing key is used where nobody can be asked", "leave out one of the two"}
			}
			file := args[0]
			if publicFile == "" {
				publicFile = file + ".pub"
			}
			private, public, err := newKeyPair(g, classic, signing, name)
			if err != nil {
				return err
			}
			if passphraseFile != "" {
				if private, err = protect(private, passphraseFile); err != nil {
					return err
				}
			}
			if err := writeNew(publicFile, public, 0o644); err != nil {
				return err
			}
			if err := writeNew(file, private, 0o600); err != nil {
				os.Remove(publicFile)
				return err
			}
			fmt.Fprintf(g.err, "lifeboat: wrote %s (keep it secret, keep it twice) and %s\n", file, publicFile)
			return nil
		},
	}
	cmd.Flags().BoolVar(&classic, "classic", false, "an X25519 identity instead of a hybrid post-quantum one")
	cmd.Flags().BoolVar(&signing, "signing", false, "a key that signs manifests instead of an identity")
	cmd.Flags().StringVar(&name, "name", "lifeboat", "`NAME` in the signatures of a signing key")
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "protect the identity by the passphrase in this `FILE`")
	cmd.Flags().StringVar(&publicFile, "public-file", "", "`FILE` for the public half (default FILE.pub)")
	return cmd
}

func newKeyPair(g *global, classic, signing bool, name string) (private, public []byte, err error) {
	if signing {
		private, public, err := crypto.GenerateSigningKey(name, g.now())
		return private, []byte(public + "\n"), err
	}
	identity, recipient, err := crypto.GenerateIdentity(classic, g.now())
	return identity, []byte(recipient + "\n"), err
}

// protect puts a passphrase on an identity.
func protect(identity []byte, passphraseFile string) ([]byte, error) {
	passphrase, err := crypto.ReadPassphrase(passphraseFile)
	if err != nil {
		return nil, err
	}
	return crypto.Protect(identity, passphrase)
}

// writeNew creates a file that must not exist: a key that is overwritten takes every backup sealed to it along.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return &usageError{fmt.Sprintf("%s exists, and a key is never overwritten", path), "name a new file"}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &usageError{fmt.Sprintf("%s cannot be made: its directory does not exist", path), "name a file in a directory that is there"}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}
