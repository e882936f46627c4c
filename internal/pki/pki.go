// Package pki makes throwaway certificate authorities for rehearsals, the demo and the tests. Its keys lie unencrypted beside the
// certificates, so it is of no use for anything that should last.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime is for certificates that are not given an end of their own: long enough that nobody is warned that they end soon.
const lifetime = 90 * day

const day = 24 * time.Hour

// A CA signs certificates with ECDSA P-256 keys and puts everything into one directory.
type CA struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// A Pair names the files of one identity and of the authority that signed it. It converts to a member.TLS.
type Pair struct{ CA, Cert, Key string }

// NewCA makes an authority and writes ca.crt and ca.key (0600) into dir, which it creates.
func NewCA(dir, name string) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", name, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-2 * 365 * day), // so that expired certificates of it can be made
		NotAfter:              now.Add(365 * day),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := sign(template, template, key, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	ca := &CA{dir: dir, cert: cert, key: key}
	_, err = ca.write("ca", der, key)
	return ca, err
}

// Options say what a certificate is for.
type Options struct {
	Hosts               []string  // host names and IP addresses of a server
	NotBefore, NotAfter time.Time // zero: an hour ago, and 90 days from now
	Client, Server      bool
}

// Issue makes a key and a certificate whose common name is name, and writes name.crt and name.key (0600).
func (c *CA) Issue(name string, o Options) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("key of %s: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: o.NotBefore,
		NotAfter:  o.NotAfter,
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	if o.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if o.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(lifetime)
	}
	if o.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if o.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range o.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := sign(template, c.cert, key, c.key)
	if err != nil {
		return Pair{}, fmt.Errorf("certificate of %s: %w", name, err)
	}
	return c.write(name, der, key)
}

func sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
}

func (c *CA) write(name string, der []byte, key *ecdsa.PrivateKey) (Pair, error) {
	p := Pair{
		CA:   filepath.Join(c.dir, "ca.crt"),
		Cert: filepath.Join(c.dir, name+".crt"),
		Key:  filepath.Join(c.dir, name+".key"),
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("key of %s: %w", name, err)
	}
	if err := os.WriteFile(p.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return Pair{}, err
	}
	return p, os.WriteFile(p.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}
