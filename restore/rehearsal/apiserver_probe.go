package rehearsal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/internal/apiserver"
	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

const (
	// mostProbed is how many objects of a resource that cannot be listed are asked for one by one: the list fails within a page.
	mostProbed = 1000
	// sealedValue is how a value begins that the API server has encrypted.
	sealedValue = "k8s:enc:"
)

// probe asks one by one for the objects that a failed list did not come to: those that cannot be read are the reason, unless
// they are encrypted.
func (k *reading) probe(ctx context.Context, n *throwaway.Node, l *listing) (bad []string, sealed int, why error, err error) {
	for _, key := range l.missing[:min(len(l.missing), mostProbed)] {
		var object json.RawMessage
		refused := k.server.Get(ctx, l.pathOf(key), &object)
		if ctx.Err() != nil {
			return nil, 0, nil, context.Cause(ctx)
		}
		var answer *apiserver.StatusError
		if refused != nil && !errors.As(refused, &answer) {
			return nil, 0, nil, failed("ask for the object of %s: %v", key, refused)
		}
		if refused == nil || answer.Code != http.StatusInternalServerError {
			continue // it is there, or gone; or the server would rather be asked later
		}
		encrypted, err := isSealed(ctx, n, key)
		switch {
		case err != nil:
			return nil, 0, nil, err
		case encrypted:
			sealed++
		case k.converted(l) && strings.Contains(refused.Error(), "webhook"):
		default:
			bad = append(bad, key)
			why = refused
		}
	}
	return bad, sealed, why, nil
}

// pathOf is where the API server has the object of a key.
func (l *listing) pathOf(key string) string {
	parts := strings.Split(key, "/")
	name, namespace := parts[len(parts)-1], parts[len(parts)-2]
	return l.resource.Path(namespace, name)
}

func isSealed(ctx context.Context, n *throwaway.Node, key string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	resp, err := n.Client.Get(ctx, key, clientv3.WithSerializable())
	if err != nil {
		return false, failed("member %s: read %s: %v", n.Name, key, err)
	}
	return len(resp.Kvs) == 1 && bytes.HasPrefix(resp.Kvs[0].Value, []byte(sealedValue)), nil
}

// converted tells whether a webhook has to translate the resource between its versions.
func (k *reading) converted(l *listing) bool {
	return slices.ContainsFunc(k.custom, func(d definition) bool {
		return d.Spec.Conversion.Strategy == "Webhook" && d.String() == l.resource.String()
	})
}
