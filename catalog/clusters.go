package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Clusters names the clusters that have a manifest in any sink, sorted. It has to read the listing of every sink from end to end.
// It is an error only if no sink can be read.
func Clusters(ctx context.Context, ss []Named) ([]string, []*Problem, error) {
	found := make([]map[string]bool, len(ss))
	problems, err := eachSink(ctx, ss, func(ctx context.Context, i int) error {
		found[i] = make(map[string]bool)
		for o, err := range ss[i].List(ctx, root) {
			if err != nil {
				return err
			}
			name, rest, _ := strings.Cut(strings.TrimPrefix(o.Key, root), "/")
			if strings.HasPrefix(rest, "manifests/") && CheckCluster(name) == nil {
				found[i][name] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	all := make(map[string]bool)
	for _, f := range found {
		maps.Copy(all, f)
	}
	return slices.Sorted(maps.Keys(all)), problems, nil
}
