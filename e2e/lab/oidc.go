package lab

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// An Issuer is an OpenID provider as a Kubernetes API server is one to a cloud: it signs tokens for service accounts, and publishes the key.
type Issuer struct {
	URL       string
	TokenFile string // where Rotate keeps the token, as the kubelet does for a pod

	key *rsa.PrivateKey
}

const (
	audience = "lifeboat-lab"
	keyID    = "lab"
)

// StartIssuer starts one, which ends with the test.
func StartIssuer(t testing.TB) *Issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{key: key, TokenFile: filepath.Join(Dir(t), "token")}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
		}
	}
	mux.Handle("GET /.well-known/openid-configuration", answer(map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
		"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	}))
	mux.Handle("GET /keys", answer(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}}}))
	return i
}

// MinIO is what a MinIO server needs in its environment to give whoever holds a token of the issuer's credentials with one of its own
// policies, such as readwrite or readonly. They last as long as the token.
func (i *Issuer) MinIO(policy string) []string {
	return []string{
		"MINIO_IDENTITY_OPENID_CONFIG_URL=" + i.URL + "/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=" + audience,
		"MINIO_IDENTITY_OPENID_ROLE_POLICY=" + policy,
	}
}

// Env is what a process needs to take on the role with the token, as in a pod with IRSA; s is where the role is.
func (i *Issuer) Env(s *S3) []string {
	return []string{
		"AWS_WEB_IDENTITY_TOKEN_FILE=" + i.TokenFile,
		"AWS_ROLE_ARN=" + roleARN(),
		"AWS_ENDPOINT_URL_STS=" + s.URL,
		"AWS_REGION=" + Region,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// Await returns once the server gives credentials for the token: it learns its policies only after it says that it is ready.
func (i *Issuer) Await(t testing.TB, s *S3) {
	t.Helper()
	token, err := os.ReadFile(i.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	client := sts.New(sts.Options{BaseEndpoint: aws.String(s.URL), Region: Region})
	for deadline := time.Now().Add(ready); ; time.Sleep(50 * time.Millisecond) {
		_, err := client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: aws.String(roleARN()), RoleSessionName: aws.String("lab"), WebIdentityToken: aws.String(string(token)),
		})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s gives no credentials for the token after %v: %v", s.Name, ready, err)
		}
	}
}

// roleARN is what MinIO calls the role of whoever holds a token of the issuer's.
func roleARN() string {
	role := sha1.Sum([]byte(audience))
	return "arn:minio:iam:::role/" + base64.RawURLEncoding.EncodeToString(role[:])
}

// Rotate writes a token that expires after lifetime, and goes on replacing it, at half of that, until the test ends or stop is called.
func (i *Issuer) Rotate(t testing.TB, lifetime time.Duration) (stop func()) {
	t.Helper()
	write := func() error {
		token, err := i.token(lifetime)
		if err == nil {
			err = os.WriteFile(i.TokenFile+".new", []byte(token), 0o600)
		}
		if err == nil {
			err = os.Rename(i.TokenFile+".new", i.TokenFile)
		}
		return err
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			close(end)
			<-ended
		}
	}
	t.Cleanup(stop)
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(lifetime / 2):
				if err := write(); err != nil {
					t.Errorf("rotate the token: %v", err)
				}
			}
		}
	}()
	return stop
}

func (i *Issuer) token(lifetime time.Duration) (string, error) {
	now := time.Now()
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err) // only maps of strings and numbers come here
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(map[string]any{"alg": "RS256", "typ": "JWT", "kid": keyID}) + "." + part(map[string]any{
		"iss": i.URL, "aud": audience, "sub": "system:serviceaccount:lifeboat:backup", "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
	})
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
