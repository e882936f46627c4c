package s3_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/conform/conformtest"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

func credentialsFile(t *testing.T, access, secret, session string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", access, secret)
	if session != "" {
		text += "aws_session_token = " + session + "\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func wrongCredentialsTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"an unknown access key": func(t *testing.T, p place) {
			s := p.sink(t, func(o *s3.Options) { o.CredentialsFile = credentialsFile(t, "nobody", p.SecretKey, "") })
			conformtest.Fails(t, s, fs.ErrPermission, "does not know the access key (InvalidAccessKeyId)", "access key id")
		},
		"a wrong secret key": func(t *testing.T, p place) {
			s := p.sink(t, func(o *s3.Options) { o.CredentialsFile = credentialsFile(t, p.AccessKey, "wrong-secret", "") })
			conformtest.Fails(t, s, fs.ErrPermission, "the secret key does not belong to the access key (SignatureDoesNotMatch)", "secret access key")
		},
		"credentials for another bucket": func(t *testing.T, p place) {
			file := restricted(t, p, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::other/*"]}]}`)
			s := p.sink(t, func(o *s3.Options) { o.CredentialsFile, o.Prefix = file, "pre" })
			conformtest.Fails(t, s, fs.ErrPermission, "access denied", "the credentials need s3:")
			for op, err := range conformtest.EveryCall(t, s, "put", "open", "list", "delete") {
				var e *sinks.Error
				want := map[string]string{
					"put": "s3:PutObject", "open": "s3:GetObject", "list": "s3:ListBucket on arn:aws:s3:::" + p.bucket,
					"delete": "s3:DeleteObjectVersion on arn:aws:s3:::" + p.bucket + "/pre/*",
				}[op]
				if !errors.As(err, &e) || !strings.Contains(e.Hint, want) {
					t.Errorf("the hint for %s does not name %s: %+v", op, want, err)
				}
			}
		},
	}
}

func wrongPlaceTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"an unknown bucket": func(t *testing.T, p place) {
			s := p.sink(t, func(o *s3.Options) { o.Bucket = "never-created" })
			conformtest.Fails(t, s, sinks.ErrNoBucket, "the bucket never-created does not exist", "create it")
		},
		"a store that is not there": func(t *testing.T, p place) {
			ports := lab.FreePorts(t, 1)
			s := p.sink(t, func(o *s3.Options) {
				o.Endpoint = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
				o.Patience = 300 * time.Millisecond
			})
			began := time.Now()
			conformtest.Fails(t, s, nil, "connection refused", "check the endpoint")
			if took := time.Since(began); took > time.Minute {
				t.Errorf("four calls took %v", took)
			}
		},
		"a host that does not exist": func(t *testing.T, p place) {
			s := p.sink(t, func(o *s3.Options) { o.Endpoint = "http://store.invalid"; o.Patience = 300 * time.Millisecond })
			conformtest.Fails(t, s, nil, "the store cannot be reached", "check the host name")
		},
		"another region": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, _ conformtest.Send) (*http.Response, error) {
				return answers(req, 301, "PermanentRedirect", "X-Amz-Bucket-Region", "eu-central-1")
			}, nil)
			conformtest.Fails(t, s, nil, "the bucket is in another region (PermanentRedirect)", "add region=eu-central-1 to the URL")
		},
		"a clock that is wrong": func(t *testing.T, p place) {
			s := p.disturbed(t, func(req *http.Request, _ conformtest.Send) (*http.Response, error) {
				return answers(req, 403, "RequestTimeTooSkewed")
			}, nil)
			conformtest.Fails(t, s, fs.ErrPermission, "clock", "set the clock")
		},
		"a web server that is no store": func(t *testing.T, p place) {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
				_, _ = io.WriteString(w, "<html>hello</html>")
			}))
			t.Cleanup(web.Close)
			s := p.sink(t, func(o *s3.Options) { o.Endpoint = web.URL })
			conformtest.Fails(t, s, nil, "the store says", "check that the endpoint is an S3 store")
		},
	}
}

// restricted gets credentials of a session that may do only what the policy says.
func restricted(t *testing.T, p place, policy string) string {
	t.Helper()
	cli := sts.New(sts.Options{
		BaseEndpoint: aws.String(p.URL), Region: lab.Region,
		Credentials: credentials.NewStaticCredentialsProvider(p.AccessKey, p.SecretKey, ""),
	})
	out, err := cli.AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::000000000000:role/lab"), RoleSessionName: aws.String("lab"),
		DurationSeconds: aws.Int32(900), Policy: &policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	return credentialsFile(t, *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
}

func tlsTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"over TLS with the right CA": func(t *testing.T, p place) {
			front, ca := inFront(t, p)
			unsigned := 0
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if req.Header.Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD" {
					unsigned++
				}
				return send(req)
			}, func(o *s3.Options) { o.Endpoint, o.CAFile, o.Parallel = front, ca, 1 })
			for key, size := range map[string]int{"small": 100, "empty": 0, "large": part + 1} {
				body := conformtest.Content(20, size)
				conformtest.MustPut(t, s, key, body)
				if got, err := conformtest.Read(t.Context(), s, key, 0); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s reads back as %d bytes, %v", key, len(got), err)
				}
			}
			if unsigned < 3 {
				t.Errorf("only %d payloads were left to TLS", unsigned)
			}
		},
		"over TLS a body that fails leaves nothing": func(t *testing.T, p place) {
			front, ca := inFront(t, p)
			s := p.sink(t, func(o *s3.Options) { o.Endpoint, o.CAFile = front, ca })
			p.failsWithItsBody(t, s, 0, 1000, part, 2*part-1) // it is read once
		},
		"as with AWS, with checksums of every part": func(t *testing.T, p place) {
			to, err := url.Parse(p.URL)
			if err != nil {
				t.Fatal(err)
			}
			var checked atomic.Int32
			s := p.disturbed(t, func(req *http.Request, send conformtest.Send) (*http.Response, error) {
				if req.Header.Get("X-Amz-Trailer") != "" || req.Header.Get("X-Amz-Checksum-Crc32") != "" {
					checked.Add(1)
				}
				elsewhere := *req.URL
				elsewhere.Scheme, elsewhere.Host = to.Scheme, to.Host
				req.Host, req.URL = req.URL.Host, &elsewhere // what is signed is AWS's name
				return send(req)
			}, func(o *s3.Options) { o.Endpoint, o.PathStyle = "", aws.Bool(true) })
			for key, size := range map[string]int{"small": 100, "empty": 0, "large": 2*part + 1} {
				body := conformtest.Content(21, size)
				conformtest.MustPut(t, s, key, body)
				if got, err := conformtest.Read(t.Context(), s, key, 0); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s reads back as %d bytes, %v", key, len(got), err)
				}
			}
			if n := checked.Load(); n < 5 {
				t.Errorf("%d bodies went up with a checksum, not two objects and three parts", n)
			}
			if err := conformtest.Put(t.Context(), s, "large", conformtest.Content(22, part+1)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("the second put says: %v", err)
			}
		},
	}
}

func wrongTLSTests() map[string]func(*testing.T, place) {
	return map[string]func(*testing.T, place){
		"over TLS with an unknown CA": func(t *testing.T, p place) {
			front, _ := inFront(t, p)
			s := p.sink(t, func(o *s3.Options) { o.Endpoint = front })
			began := time.Now()
			conformtest.Fails(t, s, nil, "certificate", "CA file")
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("an unknown CA was retried for %v", took)
			}
		},
		"over TLS under another name": func(t *testing.T, p place) {
			front, ca := inFront(t, p)
			s := p.sink(t, func(o *s3.Options) { o.Endpoint, o.CAFile = strings.Replace(front, "127.0.0.1", "localhost", 1), ca })
			conformtest.Fails(t, s, nil, "certificate", "a name the certificate is made for")
		},
		"TLS to a store without it": func(t *testing.T, p place) {
			s := p.sink(t, func(o *s3.Options) { o.Endpoint = strings.Replace(p.URL, "http:", "https:", 1) })
			conformtest.Fails(t, s, nil, "TLS handshake", "write http://")
		},
		"no TLS to a store with it": func(t *testing.T, p place) {
			front, _ := inFront(t, p)
			s := p.sink(t, func(o *s3.Options) {
				o.Endpoint, o.Patience = strings.Replace(front, "https:", "http:", 1), 300*time.Millisecond
			})
			conformtest.Fails(t, s, nil, "", "write https://")
		},
	}
}

// inFront puts TLS in front of the server, and returns the URL and the file of the CA.
func inFront(t *testing.T, p place) (front, ca string) {
	t.Helper()
	to, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorLog: log.New(io.Discard, "", 0),
	})
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.crt")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, ca
}
