package open

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

func openS3(ctx context.Context, raw string, u *url.URL, o Options) (sinks.Sink, error) {
	options := s3.Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), CredentialsFile: o.CredentialsFile, CAFile: o.CAFile, PartSize: o.PartSize, Checksums: o.Checksums, Log: o.Log}
	switch {
	case u.Host == "":
		return nil, usage(raw, "it names no bucket", "write s3://bucket/prefix")
	case strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "":
		return nil, usage(raw, "the bucket's name has characters no bucket has", "write s3://bucket/prefix, and the store's address as endpoint=")
	}
	if err := checkPrefix(raw, options.Prefix); err != nil {
		return nil, err
	}
	err := parameters(raw, u, "write ?region=R&endpoint=URL&path-style=true", func(name, value string) (why, hint string) {
		return parameter(&options, name, value)
	})
	if err != nil {
		return nil, err
	}
	s, err := s3.New(ctx, options)
	return wrap(s, hintFor(err, o, "[default], and below it aws_access_key_id = … and aws_secret_access_key = …"))
}

// parameter takes one parameter of an s3 URL, or says why not. Values are not repeated in messages.
func parameter(o *s3.Options, name, value string) (why, hint string) {
	switch name {
	case "region":
		return plain(&o.Region, "region", value, "eu-central-1")
	case "endpoint":
		o.Endpoint, why, hint = endpoint(value)
		return why, hint
	case "path-style":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return "path-style is neither true nor false", "write path-style=true or path-style=false"
		}
		o.PathStyle = &on
	case "storage-class":
		return plain(&o.StorageClass, "storage class", value, "STANDARD_IA")
	case "sse":
		o.Encryption = value
	case "sse-kms-key":
		o.KMSKey = value
	case "lock-mode":
		o.LockMode = value
	case "lock-days":
		days, err := strconv.Atoi(value)
		if err != nil || days < 1 {
			return "lock-days is not a whole number of days", "write lock-days=30"
		}
		o.LockDays = days
	case "conditional-writes":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return "conditional-writes is neither true nor false", "write conditional-writes=false for a store that has none"
		}
		o.Unconditional = !on
	default:
		return "the parameter " + strconv.Quote(name) + " is not known",
			"known are region, endpoint, path-style, storage-class, sse, sse-kms-key, lock-mode, lock-days and conditional-writes"
	}
	return "", ""
}

// plain takes a name made of letters, digits, dashes and underscores.
func plain(to *string, what, value, example string) (why, hint string) {
	if strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return "the " + what + " has characters no " + what + " has", "write a name like " + example
	}
	*to = value
	return "", ""
}
