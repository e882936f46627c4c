package gcs

import (
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// Policy implements [sinks.Restricted]: the commands that make a role of its own and give it to a service account, for this bucket and
// prefix only. Without storage.objects.delete nothing can be overwritten either.
func (s *Sink) Policy(role sinks.Role) string {
	permissions := []string{"storage.objects.get", "storage.objects.list"}
	switch role {
	case sinks.Writer:
		permissions = append(permissions, "storage.objects.create")
	case sinks.Pruner:
		permissions = append(permissions, "storage.objects.delete", "storage.buckets.get")
	}
	name := "lifeboat" + strings.ToUpper(string(role[:1])) + string(role[1:])
	condition := ""
	if s.prefix != "" {
		// Listing is asked of the bucket, which has no prefix.
		condition = fmt.Sprintf(" \\\n  --condition='title=%s,expression=resource.type != \"storage.googleapis.com/Object\" || resource.name.startsWith(\"projects/_/buckets/%s/objects/%s\")'",
			name, s.o.Bucket, s.prefix)
	}
	return fmt.Sprintf(`gcloud iam roles create %s --project="$PROJECT" \
  --permissions=%s
gcloud storage buckets add-iam-policy-binding gs://%s \
  --member="serviceAccount:$SERVICE_ACCOUNT" --role="projects/$PROJECT/roles/%s"%s
`, name, strings.Join(permissions, ","), s.o.Bucket, name, condition)
}
