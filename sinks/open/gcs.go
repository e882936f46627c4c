package open

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/gcs"
)

func openGCS(ctx context.Context, raw string, u *url.URL, o Options) (sinks.Sink, error) {
	options := gcs.Options{
		Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), ChunkSize: int(o.PartSize),
		CredentialsFile: o.CredentialsFile, CAFile: o.CAFile, Log: o.Log,
	}
	switch {
	case u.Host == "":
		return nil, usage(raw, "it names no bucket", "write gs://bucket/prefix")
	case strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "":
		return nil, usage(raw, "the bucket's name has characters no bucket has", "write gs://bucket/prefix, and another address than Google's as endpoint=")
	}
	if err := checkPrefix(raw, options.Prefix); err != nil {
		return nil, err
	}
	err := parameters(raw, u, "write ?endpoint=URL", func(name, value string) (why, hint string) {
		return gcsParameter(&options, name, value)
	})
	if err != nil {
		return nil, err
	}
	s, err := gcs.New(ctx, options)
	return wrap(s, hintFor(err, o, "the JSON key of a service account, or the configuration of an external account"))
}

// gcsParameter takes one parameter of a gs URL, or says why not. Values are not repeated in messages.
func gcsParameter(o *gcs.Options, name, value string) (why, hint string) {
	switch name {
	case "endpoint":
		o.Endpoint, why, hint = endpoint(value)
		return why, hint
	case "anonymous":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return "anonymous is neither true nor false", "write anonymous=true, or leave it out"
		}
		o.Anonymous = on
	default:
		return "the parameter " + strconv.Quote(name) + " is not known", "known are endpoint and anonymous"
	}
	return "", ""
}
