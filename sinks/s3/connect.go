package s3

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/lifeboat-dr/lifeboat/sinks/overhttp"
)

const (
	// defaultRegion serves where none is given: stores that are not AWS take any, and AWS answers with the right one.
	defaultRegion = "us-east-1"
	dialTimeout   = 10 * time.Second
)

// connect makes the client. It reads files and the environment, nothing else.
func (s *Sink) connect(ctx context.Context) (*s3.Client, error) {
	base, err := s.httpClient()
	if err != nil {
		return nil, err
	}
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(base),
		config.WithDefaultRegion(defaultRegion),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
	}
	if s.o.Region != "" {
		load = append(load, config.WithRegion(s.o.Region))
	}
	if file := s.o.CredentialsFile; file != "" {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("credentials file: %w", err)
		}
		// Naming the profile is what makes the file win over the environment. It stands for both of AWS's files, so
		// that no profile in the home directory mixes in.
		load = append(load,
			config.WithSharedConfigProfile("default"),
			config.WithSharedCredentialsFiles([]string{file}),
			config.WithSharedConfigFiles([]string{file}))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	switch {
	case err != nil && s.o.CredentialsFile != "":
		return nil, fmt.Errorf("credentials file %s: %w", s.o.CredentialsFile, err)
	case err != nil:
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	s.keys = newKeyring(cfg.Credentials, s.o.CredentialsFile, func(ctx context.Context) (aws.CredentialsProvider, error) {
		again, err := config.LoadDefaultConfig(ctx, load...)
		return again.Credentials, err
	})
	if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok { // it has AWS_CA_BUNDLE in it now
		base = client
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) { s.configure(o, base.GetTransport()) }), nil
}

func (s *Sink) configure(o *s3.Options, transport *http.Transport) {
	if s.o.Endpoint != "" {
		o.BaseEndpoint = &s.o.Endpoint
	}
	if o.BaseEndpoint != nil { // given to us, or by AWS_ENDPOINT_URL
		// Checksums in trailers are beyond many stores that are not AWS.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.UsePathStyle = true
	}
	if s.o.PathStyle != nil {
		o.UsePathStyle = *s.o.PathStyle
	}
	o.DisableLogOutputChecksumValidationSkipped = true
	o.Credentials = s.keys
	var carrier http.RoundTripper = transport
	if s.o.Transport != nil {
		carrier = s.o.Transport(carrier)
	}
	o.HTTPClient = &watched{base: carrier, window: s.o.Stall}
}

// httpClient makes what also fetches credentials, over the same CA and proxy settings.
func (s *Sink) httpClient() (*awshttp.BuildableClient, error) {
	roots, err := overhttp.Roots(s.o.CAFile)
	if err != nil {
		return nil, err
	}
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = max(2*s.o.Parallel, 16)
			t.ReadBufferSize, t.WriteBufferSize = 128<<10, 128<<10
			if roots != nil {
				if t.TLSClientConfig == nil {
					t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
				}
				t.TLSClientConfig.RootCAs = roots
			}
		}), nil
}
