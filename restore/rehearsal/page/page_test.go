package page

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore/rehearsal"
)

// sample is a rehearsal of an upgrade, with nine before it.
func sample() *rehearsal.Report {
	started := time.Date(2026, 11, 20, 15, 16, 42, 0, time.UTC)
	taken := started.Add(-26*time.Minute - 42*time.Second)
	const first, second = "3.6.12", "3.7.3"
	r := &rehearsal.Report{
		Format: rehearsal.Format, Passed: true, Started: started, Finished: started.Add(48 * time.Second), Tool: "1.0.0",
		Backup: rehearsal.Backup{
			ID: "20261120T145000Z-r123456-7f3a9c", Cluster: "prod", Taken: &taken, Revision: 1234567, CompactRevision: 1229000,
			SourceVersion: first, StorageVersion: "3.6", PlainBytes: 1288490188, SealedBytes: 327155712,
			MembersCompared: []string{"etcd-0", "etcd-1", "etcd-2"}, Signed: true, SignedBy: []string{"backup-prod+1f2e3d4c"}, Trusted: true,
		},
		OpenedWith: "d8c26185e77b9915", EtcdVersions: []string{first, second}, Members: 3, RTOSeconds: 12.3,
		Phases: []rehearsal.Phase{
			{Name: "fetch", Seconds: 3.1, InRTO: true},
			{Name: "open", Seconds: 2.4, InRTO: true},
			{Name: "verify", Seconds: 1.9, InRTO: true},
			{Name: "make-directories", Seconds: 0.02, InRTO: true},
			{Name: "boot", Seconds: 4.1, InRTO: true},
			{Name: "quorum", Seconds: 0.8, InRTO: true},
			{Name: "checks", Etcd: first, Seconds: 6.2},
			{Name: "upgrade", Etcd: second, Seconds: 5.5},
			{Name: "checks", Etcd: second, Seconds: 9.9},
			{Name: "with-bump", Seconds: 11.4},
		},
		Comparison: []rehearsal.Row{{Role: rehearsal.RoleBackup, Name: "manifest", HashKV: 3157024498, Revision: 1234567, CompactRevision: 1229000, Equal: true}},
	}
	for _, name := range []string{rehearsal.CheckRestore, rehearsal.CheckQuorum, rehearsal.CheckHash, rehearsal.CheckKeys, rehearsal.CheckAlarms, rehearsal.CheckCanary, rehearsal.CheckRejoin, rehearsal.CheckCompaction, rehearsal.CheckBump, rehearsal.CheckOldWatch, rehearsal.CheckRevision} {
		r.Checks = append(r.Checks, rehearsal.Check{Name: name, Etcd: second, Result: rehearsal.Passed, Detail: "as it should be, of " + name, Seconds: 1.5})
	}
	r.Checks = append(r.Checks, rehearsal.Check{Name: "of-a-later-version", Result: rehearsal.Untested, Detail: "nothing here to ask"})
	for _, etcd := range r.EtcdVersions {
		for _, name := range []string{"rehearsal-1", "rehearsal-2", "rehearsal-3"} {
			r.Comparison = append(r.Comparison, rehearsal.Row{Role: rehearsal.RoleRestored, Name: name, Etcd: etcd, HashKV: 3157024498, Revision: 1234567, CompactRevision: 1229000, Equal: true})
		}
	}
	var past catalog.PastReports
	for i, s := range []float64{10.1, 11.2, 10.9, 12.7, 11.5, 14, 10.4, 11, 11.6, 13.2, 11.1, 10.8} {
		past.Reports = append(past.Reports, catalog.Report{
			ID: "20261120T145000Z-r123456-7f3a9c", OK: i != 4, Time: started.AddDate(0, 0, i-12), EtcdVersions: []string{second},
			Rehearsal: &catalog.Rehearsal{Members: 3 - i/7%2*2, RTOSeconds: s, PlainBytes: 1<<30 + int64(i)<<24},
		})
	}
	r.Follow(past)
	return r
}

func failedSample() *rehearsal.Report {
	r := sample()
	r.Passed, r.Reason = false, "hashkv on etcd 3.7.3: member rehearsal-2 has 1 instead of 3157024498"
	r.Checks[2].Result, r.Checks[2].Detail = rehearsal.Failed, "member rehearsal-2 has 1 instead of 3157024498\nits last words:\npanic: something long happened in mvcc/kvstore_compaction.go:123 that nobody has seen before and which goes on and on"
	r.Comparison[2].Equal, r.Comparison[2].HashKV = false, 1
	r.Comparison[3].Equal, r.Comparison[3].Error = false, "rpc error: code = Unavailable desc = connection refused"
	return r
}

func parsed(t *testing.T, r *rehearsal.Report) (text string, root *html.Node) {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), root
}

// elements are those with one of these names, or all.
func elements(root *html.Node, names ...string) (all []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && (len(names) == 0 || slices.Contains(names, n.Data)) {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// words are the text below a node, with one blank between.
func words(n *html.Node) string {
	var text strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && (d.Parent.DataAtom != atom.Style) {
			text.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

func TestEverythingInTheReportIsOnThePage(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*rehearsal.Report{"passed": sample(), "failed": failedSample()} {
		_, root := parsed(t, r)
		rows := map[string]bool{}
		for _, tr := range elements(root, "tr") {
			rows[words(tr)] = true
		}
		row := func(parts ...string) {
			for text := range rows {
				if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, strings.Join(strings.Fields(p), " ")) }) {
					return
				}
			}
			t.Errorf("%s: no row says %q", name, parts)
		}
		for _, c := range r.Checks {
			row(c.Name, c.Etcd, string(c.Result), c.Detail)
		}
		for _, p := range r.Phases {
			row(p.Name, p.Etcd, duration(p.Seconds))
		}
		for _, c := range r.Comparison {
			if c.Error == "" {
				row(c.Name, c.Role, c.Etcd, fmt.Sprint(c.HashKV), fmt.Sprint(c.Revision), fmt.Sprint(c.CompactRevision))
			} else {
				row(c.Name, c.Etcd, "no answer", c.Error)
			}
		}
		for _, run := range r.Trend.Runs[2:] {
			row(run.Time.Format("2006-01-02 15:04"), run.Backup, duration(run.RTOSeconds), size(run.PlainBytes))
		}
		all := words(root)
		b := r.Backup
		for _, want := range append(append(slices.Clone(b.MembersCompared), b.SignedBy...),
			b.ID, b.Cluster, r.OpenedWith, b.SourceVersion, "20 November 2026, 14:50:00 UTC", "26 min 42 s", number(b.Revision), "1.2 GiB", "312.0 MiB", "12.3 s",
			"6 before: 10.1–14.0 s, median 11.1 s", "and 2 older ones", strings.Split(r.Reason, "\n")[0]) {
			if !strings.Contains(all, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%s: nothing says %q", name, want)
			}
		}
		if verdict := words(elements(root, "h1")[0]); (verdict == "Proven") != r.Passed || (verdict == "Failed") == r.Passed {
			t.Errorf("%s: the verdict is %q", name, verdict)
		}
	}
}

// hostile is a report in which every text tries to become more than that.
func hostile() *rehearsal.Report {
	r := failedSample()
	for i, text := range []*string{
		&r.Reason, &r.Tool, &r.OpenedWith, &r.Kept, &r.EtcdVersions[0], &r.Backup.ID, &r.Backup.Cluster, &r.Backup.SourceVersion, &r.Backup.StorageVersion,
		&r.Backup.MembersCompared[0], &r.Backup.SignedBy[0], &r.Checks[0].Name, &r.Checks[0].Etcd, &r.Checks[0].Detail, &r.Checks[2].Detail, &r.Phases[0].Name,
		&r.Phases[0].Etcd, &r.Comparison[1].Name, &r.Comparison[1].Role, &r.Comparison[1].Etcd, &r.Comparison[3].Error, &r.Trend.Runs[11].Backup, &r.Trend.Runs[11].EtcdVersions[0],
	} {
		*text = fmt.Sprintf(`%d</style></title></svg>"><script>alert(%[1]d)</script><img src=//a onerror='x'>{{.}}`, i)
	}
	return r
}

func TestWhatTheReportSaysIsTextOnly(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{}
	_, plain := parsed(t, failedSample())
	for _, n := range elements(plain) {
		allowed[n.Data] = true
	}
	r := hostile()
	_, root := parsed(t, r)
	for _, n := range elements(root) {
		if !allowed[n.Data] {
			t.Errorf("a text became an element: %s %v", n.Data, n.Attr)
		}
	}
	said := words(root)
	for i := range 23 {
		if want := fmt.Sprintf(`%d</style></title></svg>"><script>alert(%[1]d)</script><img src=//a onerror='x'>{{.}}`, i); !strings.Contains(said, want) {
			t.Errorf("text %d is not there as it was written", i)
		}
	}
}

// TestThePageAsksNobodyForAnything: no script, no address but of what is in it, and a policy that would stop the rest.
func TestThePageAsksNobodyForAnything(t *testing.T) {
	t.Parallel()
	text, root := parsed(t, hostile())
	for _, n := range elements(root) {
		if slices.Contains([]string{"script", "link", "img", "image", "use", "iframe", "object", "embed", "base", "form", "audio", "video", "a", "foreignobject"}, strings.ToLower(n.Data)) {
			t.Errorf("there is a %s", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || slices.Contains([]string{"src", "srcset", "href", "action", "style", "background", "data", "ping", "poster"}, a.Key) {
				t.Errorf("a %s has %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
	for _, n := range elements(root, "style") {
		if css := n.FirstChild.Data; strings.Contains(css, "url(") || strings.Contains(css, "@import") || strings.Contains(css, "@font-face") {
			t.Error("the style fetches something")
		}
	}
	policy := strings.Index(text, `content="default-src 'none'; style-src 'unsafe-inline'`)
	if policy < 0 || policy > strings.Index(text, "<style") {
		t.Error("no policy stands before the style")
	}
}

func TestThePageCanBeReadWithoutSeeingIt(t *testing.T) {
	t.Parallel()
	_, root := parsed(t, failedSample())
	if lang := attribute(elements(root, "html")[0], "lang"); lang != "en" {
		t.Errorf("the language is %q", lang)
	}
	ids := map[string]bool{}
	for _, n := range elements(root) {
		if id := attribute(n, "id"); id != "" && ids[id] {
			t.Errorf("%s comes twice", id)
		} else if id != "" {
			ids[id] = true
		}
	}
	level := 0
	for _, h := range elements(root, "h1", "h2", "h3", "h4") {
		next := int(h.Data[1] - '0')
		if next > level+1 || next == 1 && level != 0 {
			t.Errorf("%s follows a heading of level %d", h.Data, level)
		}
		level = next
	}
	for _, n := range elements(root) {
		if by := attribute(n, "aria-labelledby"); by != "" && !ids[by] {
			t.Errorf("a %s is named by %q, which is nowhere", n.Data, by)
		}
	}
	for _, th := range elements(root, "th") {
		if scope := attribute(th, "scope"); scope != "col" && scope != "row" {
			t.Errorf("the heading %q is of nothing", words(th))
		}
	}
	for _, s := range elements(root, "svg") {
		named := attribute(s, "role") == "img" && attribute(s, "aria-label")+attribute(s, "aria-labelledby") != ""
		if !named && attribute(s, "aria-hidden") != "true" && s.Parent.Data != "svg" {
			t.Errorf("a drawing has no words: %v in %s", s.Attr, words(s.Parent))
		}
	}
	for _, tr := range elements(root, "tr") {
		if tr.Parent.Data == "tbody" && len(elements(tr, "th")) != 1 {
			t.Errorf("a row without a heading: %s", words(tr))
		}
	}
}

// TestARehearsalThatHardlyBeganHasAPage, and so has one of a local file, which is in no sink.
func TestARehearsalThatHardlyBeganHasAPage(t *testing.T) {
	t.Parallel()
	r := &rehearsal.Report{Reason: "restore: not whole", Checks: []rehearsal.Check{{Name: rehearsal.CheckRestore, Result: rehearsal.Failed, Detail: "not whole"}}}
	r.Backup.File = "/tmp/snapshot.db"
	_, root := parsed(t, r)
	if all := words(root); !strings.Contains(all, "Nothing was timed") || !strings.Contains(all, "not measured") || !strings.Contains(all, "unproven: it was not restored") || strings.Contains(all, "rehearsal by rehearsal") {
		t.Error(all)
	}
	r.Follow(catalog.PastReports{})
	if _, root = parsed(t, r); !strings.Contains(words(root), "the trend begins with this one") {
		t.Error(words(root))
	}
}
