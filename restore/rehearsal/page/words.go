package page

import (
	"fmt"
	"strconv"
	"time"

	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

// meanings are what the checks ask, in a sentence each. One that is not named here is shown without.
func meanings() map[string]string {
	return map[string]string{
		rehearsal.CheckRestore:        "Is it whole: fetched, authenticated, opened, and made into data directories?",
		rehearsal.CheckQuorum:         "Does every member answer a linearizable read in time?",
		rehearsal.CheckHash:           "Is every member’s checksum of all keys and revisions that of the backup?",
		rehearsal.CheckKeys:           "Does every member hold as many keys, in total and under each prefix?",
		rehearsal.CheckAlarms:         "Is no alarm raised?",
		rehearsal.CheckCanary:         "Can a key be written, read from every member, and deleted?",
		rehearsal.CheckSettle:         "Did etcd 3.6 take the raft snapshot without which 3.7 panics?",
		rehearsal.CheckRejoin:         "Does a member that is killed come back and catch up?",
		rehearsal.CheckCompaction:     "Can history be compacted, and every member defragmented?",
		rehearsal.CheckBump:           "With the revision raised, as a real restore does: do they serve, with every key?",
		rehearsal.CheckOldWatch:       "Is a watch from before the restore told to start over?",
		rehearsal.CheckRevision:       "Does a new write get a revision above all that the source gave out?",
		rehearsal.CheckAPIServer:      "Does a Kubernetes API server get ready on the restored members?",
		rehearsal.CheckObjects:        "Does it list every object, each under its key in the backup and at its revision?",
		rehearsal.CheckUnread:         "Is there nothing that no API reads?",
		rehearsal.CheckAPIServerWatch: "Is a client that saw more of the old cluster than the backup has told to start over?",
	}
}

// proves says what of a passed rehearsal an auditor may rely on.
func proves(r *rehearsal.Report) []string {
	if !r.Passed {
		return nil
	}
	all := []string{"The backup can be read from end to end and is byte for byte what was taken."}
	if r.OpenedWith != "" {
		all = append(all, "The key "+r.OpenedWith+" opens it.")
	}
	all = append(all, "A cluster made from it starts, agrees, reads and writes.",
		"Every restored member’s HashKV, etcd’s own checksum over all keys and revisions, equals that of the backup.")
	if len(r.Backup.MembersCompared) > 0 {
		all = append(all, "That checksum was compared with the live cluster’s members when the backup was taken.")
	}
	return all
}

// doesNot says what nobody should read into it.
func doesNot(r *rehearsal.Report) []string {
	all := []string{
		"That your machines and network are as quick as those it was rehearsed on.",
		"That what is not in etcd is at hand: certificates, keys of encryption at rest, volumes.",
	}
	if r.Backup.File == "" && len(r.Backup.MembersCompared) == 0 {
		all = append(all, "That the members of the live cluster were equal: none was compared when the backup was taken.")
	}
	return append(all, "That this page is as it was written: it is not signed. The report beside the backup in its sink is, where there is a signing key.")
}

func orUnknown(s string) string { return orElse(s, "unknown") }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func count(n int, thing string) string {
	if thing == "member" && n != 1 {
		thing = "members"
	}
	return strconv.Itoa(n) + " " + thing
}

// number groups digits by thin spaces, which do not break.
func number(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

func date(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }

func duration(seconds float64) string {
	switch {
	case seconds < 0.05:
		return "< 0.1 s"
	case seconds < 100:
		return fmt.Sprintf("%.1f s", seconds)
	}
	return span(time.Duration(seconds * float64(time.Second)))
}

// span says a time in its two largest units.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "dated in the future"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// size says bytes in binary units.
func size(n int64) string {
	value, unit := float64(n), "B"
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, larger
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
