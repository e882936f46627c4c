package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// credentialsWait bounds one asking for credentials: whoever gives them (STS, a metadata service) answers at once or not at all.
const credentialsWait = time.Minute

// A keyring gives the client its credentials. It is asked before every attempt of every request, so an upload that lasts longer than its
// credentials goes on with new ones: AWS's own chain renews what expires, and a credentials file is read again when it has changed.
type keyring struct {
	file string // "" where AWS's chain decides
	load func(context.Context) (aws.CredentialsProvider, error)

	mu        sync.Mutex
	chain     aws.CredentialsProvider
	seen      fileStamp // of file, when chain was made of it
	temporary bool      // the last ones given out come with a session
}

// fileStamp tells one content of a file from the next, as long as whoever writes it replaces the file.
type fileStamp struct {
	changed time.Time
	size    int64
}

func newKeyring(chain aws.CredentialsProvider, file string, load func(context.Context) (aws.CredentialsProvider, error)) *keyring {
	k := &keyring{file: file, load: load, chain: chain}
	if file != "" {
		k.seen, _ = stamp(file) // an error shows at the first request
	}
	return k
}

func stamp(file string) (fileStamp, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{fi.ModTime(), fi.Size()}, nil
}

// Retrieve implements aws.CredentialsProvider. Its errors are *credentialsError, but for an ended context.
func (k *keyring) Retrieve(ctx context.Context) (aws.Credentials, error) {
	chain, err := k.current(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{err}
	}
	asking, cancel := context.WithTimeout(ctx, credentialsWait)
	defer cancel()
	found, err := chain.Retrieve(asking)
	switch {
	case err != nil && ctx.Err() != nil:
		return found, err
	case err != nil && asking.Err() != nil:
		return found, &credentialsError{fmt.Errorf("whoever gives them has not answered in %v", credentialsWait)}
	case err != nil:
		return found, &credentialsError{err}
	}
	k.mu.Lock()
	k.temporary = found.SessionToken != ""
	k.mu.Unlock()
	return found, nil
}

// current is the chain of what the credentials file holds now. A file that is being replaced may be missing or half there: what was
// read before serves until the store refuses it.
func (k *keyring) current(ctx context.Context) (aws.CredentialsProvider, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == "" {
		return k.chain, nil
	}
	now, err := stamp(k.file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && now == k.seen {
		return k.chain, nil
	}
	if err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	chain, err := k.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	k.chain, k.seen = chain, now
	return chain, nil
}

// renew forgets credentials that the store has called expired, whatever their own date says; the next attempt gets others, if there are any.
func (k *keyring) renew() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if cache, ok := k.chain.(*aws.CredentialsCache); ok {
		cache.Invalidate()
	}
	k.seen = fileStamp{}
}

// credentialsError tells failures to get credentials from failures of the store, whatever the chain met on its way.
type credentialsError struct{ error }

func (e *credentialsError) Unwrap() error { return e.error }

// hint names what is missing. Where a role was asked for, that is the permission to take it on.
func (e *credentialsError) hint() string {
	var refused *smithy.OperationError
	if errors.As(e.error, &refused) && refused.ServiceID == "STS" {
		return "the role needs a trust policy that allows sts:" + refused.OperationName + " to whoever runs this; look at its token, and at AWS_ROLE_ARN"
	}
	if file := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"); file != "" {
		return "look at the token in " + file + " (AWS_WEB_IDENTITY_TOKEN_FILE), and at AWS_ROLE_ARN"
	}
	return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give a credentials file, or run where a role is attached"
}

// expired reports whether the store says by this code that credentials were good once. MinIO no longer knows the access key of a session
// that has ended.
func (k *keyring) expired(code string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidTokenId":
		return true
	case "InvalidAccessKeyId":
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.temporary
	}
	return false
}
