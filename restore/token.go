package restore

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// BumpStep is how many revisions one attempt adds: more than any cluster is likely to have gone on after its last backup.
const BumpStep = 1_000_000_000

// maxAttempt keeps every bumped revision far inside 63 bits.
const maxAttempt = 1_000_000

// Token is the cluster token of a restored cluster, as a function of what was restored, of the whole member list and of the
// attempt, so that members made by different runs on different nodes belong together, and never join an older attempt.
//
// It is "lifeboat-" and the first 16 hex digits of the SHA-256 of
//
//	id "\n" line "\n" line "\n" … "\n" attempt
//
// where the lines are name=peerURL, one for each peer URL of each member, sorted bytewise, and attempt is decimal. URLs are
// spelled scheme://host:port with the host in lower case. id is a backup's id or, for a local file, its SHA-256 in hex.
func Token(id string, members []Member, attempt int) string {
	var lines []string
	for _, m := range members {
		for _, u := range m.PeerURLs {
			lines = append(lines, m.Name+"="+u)
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(id + "\n" + strings.Join(lines, "\n") + "\n" + strconv.Itoa(attempt)))
	return "lifeboat-" + hex.EncodeToString(sum[:8])
}

// Bump is by how many revisions the newest one is raised in the given attempt, where it is raised at all.
func Bump(attempt int) int64 { return int64(attempt) * BumpStep }
