package kubedata

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// A kind is one Kubernetes resource as etcd sees it.
type kind struct {
	share      int // of a hundred objects
	path       string
	group      string // apiVersion
	name       string
	size       int    // natural size of a value, about
	cluster    bool   // not in a namespace
	expires    bool   // on a lease
	encryption string // what the API server's encryption at rest writes before the ciphertext
}

// kinds returns the mix of a busy cluster. Secrets are encrypted by an API server that has changed its key once and has a
// few left from before it encrypted at all.
func kinds() []kind {
	return []kind{
		{share: 30, path: "pods", group: "v1", name: "Pod", size: 3600},
		{share: 20, path: "events", group: "v1", name: "Event", size: 900, expires: true},
		{share: 10, path: "configmaps", group: "v1", name: "ConfigMap", size: 1800},
		{share: 8, path: "replicasets", group: "apps/v1", name: "ReplicaSet", size: 2200},
		{share: 6, path: "secrets", group: "v1", name: "Secret", size: 700, encryption: "k8s:enc:aescbc:v1:key1:"},
		{share: 1, path: "secrets", group: "v1", name: "Secret", size: 700, encryption: "k8s:enc:secretbox:v1:key2:"},
		{share: 1, path: "secrets", group: "v1", name: "Secret", size: 700},
		{share: 7, path: "endpointslices", group: "discovery.k8s.io/v1", name: "EndpointSlice", size: 1100},
		{share: 6, path: "deployments", group: "apps/v1", name: "Deployment", size: 2600},
		{share: 5, path: "leases", group: "coordination.k8s.io/v1", name: "Lease", size: 450},
		{share: 3, path: "services/specs", group: "v1", name: "Service", size: 1100},
		{share: 2, path: "serviceaccounts", group: "v1", name: "ServiceAccount", size: 300},
		{share: 1, path: "clusterroles", group: "rbac.authorization.k8s.io/v1", name: "ClusterRole", size: 1500, cluster: true},
	}
}

// An object is the i-th of a data set.
type object struct {
	kind kind
	seed uint64
	i    int
}

func (f *filler) object(i int) object {
	place := i % 100 // kinds are interleaved, so that a small data set has them all
	place = place * 37 % 100
	for _, k := range kinds() {
		if place < k.share {
			return object{kind: k, seed: f.Seed, i: i}
		}
		place -= k.share
	}
	panic("kinds do not add up to a hundred")
}

// namespace and name do not depend on the seed, so that data sets of different seeds are versions of the same cluster.
func (o object) namespace() string {
	return []string{"default", "kube-system", "monitoring", "shop", "shop-staging", "batch", "ingress", "team-a", "team-b"}[o.i%9]
}

func (o object) instance() string {
	app := []string{"frontend", "checkout", "worker", "cache", "gateway", "ledger", "search"}[o.i%7]
	return fmt.Sprintf("%s-%08x-%05d", app, uint32(o.i)*2654435761, o.i)
}

func (o object) key() string {
	if o.kind.cluster {
		return "/registry/" + o.kind.path + "/" + o.instance()
	}
	return "/registry/" + o.kind.path + "/" + o.namespace() + "/" + o.instance()
}

// value is what an API server would store, more or less: a marker, type and metadata as protobuf, then the rest of the object.
// With a size above 0 it is about that long, give or take half, else as long as its kind usually is; secrets are always that
// long, so that large data sets do not become mostly ciphertext.
func (o object) value(version, size int) []byte {
	rng := rand.New(rand.NewPCG(o.seed, uint64(o.i)<<20|uint64(version)))
	if size == 0 || o.kind.encryption != "" {
		size = o.kind.size
	}
	size = size/2 + rng.IntN(size+1)
	if o.kind.encryption != "" {
		return noise(rng, []byte(o.kind.encryption), size)
	}
	var meta []byte
	meta = field(meta, 1, []byte(o.instance()))
	if !o.kind.cluster {
		meta = field(meta, 3, []byte(o.namespace()))
	}
	meta = field(meta, 5, uid(rng))
	meta = protowire.AppendTag(meta, 7, protowire.VarintType)
	meta = protowire.AppendVarint(meta, uint64(version+1))
	for _, label := range []string{"app.kubernetes.io/name", "app.kubernetes.io/instance", "pod-template-hash"} {
		meta = field(meta, 11, field(field(nil, 1, []byte(label)), 2, []byte(o.instance())))
	}
	raw := field(nil, 1, meta)
	raw = field(raw, 2, body(rng, max(0, size-len(raw))))

	typeMeta := field(field(nil, 1, []byte(o.kind.group)), 2, []byte(o.kind.name))
	return field(field([]byte("k8s\x00"), 1, typeMeta), 2, raw)
}

func field(b []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), content)
}

func uid(rng *rand.Rand) []byte {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Appendf(nil, "%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48, b&0xffffffffffff)
}

// noise appends bytes that do not compress, as ciphertext does not.
func noise(rng *rand.Rand, b []byte, n int) []byte {
	for ; n >= 8; n -= 8 {
		v := rng.Uint64()
		b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56))
	}
	return b
}

// phrases are what objects are full of: the ownership of fields, and the same few settings again and again.
func phrases() []string {
	return []string{
		`{"f:metadata":{"f:labels":{".":{},"f:app.kubernetes.io/name":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{},`,
		`"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:resources":{".":{},`,
		`"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},`,
		`"f:terminationMessagePath":{},"f:terminationMessagePolicy":{},"f:volumeMounts":{".":{},"k:{\"mountPath\":\"/etc/config\"}":`,
		`/var/run/secrets/kubernetes.io/serviceaccount`,
		`kube-api-access`,
		`node.kubernetes.io/not-ready:NoExecute op=Exists for 300s`,
		`node.kubernetes.io/unreachable:NoExecute op=Exists for 300s`,
		`registry.example.com/platform/`,
		`kube-controller-manager`,
		`requests: cpu=250m,memory=256Mi limits: cpu=1,memory=512Mi`,
		`livenessProbe: http-get /healthz port=8080 delay=10s timeout=1s period=10s #success=1 #failure=3`,
		`readinessProbe: http-get /readyz port=8080 delay=5s timeout=1s period=5s #success=1 #failure=3`,
		`OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.monitoring.svc.cluster.local:4317`,
		`DATABASE_HOST=postgres-primary.shop.svc.cluster.local`,
		`securityContext: runAsNonRoot=true,readOnlyRootFilesystem=true,allowPrivilegeEscalation=false`,
	}
}

// body is text of about n bytes in which, as in real objects, a small part is unique: digests, names, times.
func body(rng *rand.Rand, n int) []byte {
	words := phrases()
	b := make([]byte, 0, n+128)
	for len(b) < n {
		b = append(b, words[rng.IntN(len(words))]...)
		switch rng.IntN(3) {
		case 0:
			b = strconv.AppendUint(append(b, "sha256:"...), rng.Uint64(), 16)
			b = strconv.AppendUint(b, rng.Uint64(), 16)
		case 1:
			b = strconv.AppendUint(append(b, "container-"...), rng.Uint64N(1<<48), 36)
		case 2:
			b = strconv.AppendUint(append(b, "2026-11-20T14:"...), rng.Uint64N(1e9), 10)
		}
		b = append(b, '\n')
	}
	return b
}
