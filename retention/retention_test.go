package retention_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lifeboat-dr/lifeboat/retention"
)

// TestPolicies holds what each rule keeps, and the words for it, to the tables in testdata. A line there is
//
//	TIME LINEAGE REVISION FLAG… | VERDICT | REASONS
//
// and lines beginning with "policy", "now" or "#" say for what. LIFEBOAT_UPDATE_GOLDEN=1 writes verdicts and reasons anew: read the diff.
func TestPolicies(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d tables: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := readTable(t, string(data))
			got := c.judged()
			if os.Getenv("LIFEBOAT_UPDATE_GOLDEN") == "1" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(data), got); diff != "" {
				t.Error(diff)
			}
			// The order in which they are given decides nothing.
			want := c.policy.Plan(c.now, c.backups)
			slices.Reverse(c.backups)
			turned := c.policy.Plan(c.now, c.backups)
			slices.Reverse(turned)
			if diff := cmp.Diff(want, turned); diff != "" {
				t.Error(diff)
			}
		})
	}
}

type table struct {
	head    []string
	policy  retention.Policy
	now     time.Time
	backups []retention.Backup
	given   []string
}

const minute = "2006-01-02T15:04"

func readTable(t *testing.T, text string) (c table) {
	t.Helper()
	begun := map[string]time.Time{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		switch word, rest, _ := strings.Cut(line, " "); {
		case word == "policy":
			c.policy = readPolicy(t, rest)
		case word == "now":
			c.now = readTime(t, rest)
		case word != "#":
			given, _, _ := strings.Cut(line, "|")
			b := readBackup(t, strings.Fields(given))
			b.ID = fmt.Sprintf("%s-r%d-%03d", b.Time.Format(minute), b.Revision, 999-len(c.backups)) // the higher sequence is the newer, whatever the ids
			b.Sequence = int64(len(c.backups) + 1)
			if begun[b.Lineage].IsZero() {
				begun[b.Lineage] = b.Time
			}
			b.Begun = begun[b.Lineage]
			c.backups, c.given = append(c.backups, b), append(c.given, strings.Join(strings.Fields(given), " "))
			continue
		}
		c.head = append(c.head, line)
	}
	return c
}

func readPolicy(t *testing.T, text string) (p retention.Policy) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		if name == "within" {
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			p.Within = d
			continue
		}
		if name == "all" {
			p.All = true
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		*map[string]*int{
			"last": &p.Last, "hourly": &p.Hourly, "daily": &p.Daily, "weekly": &p.Weekly, "monthly": &p.Monthly, "yearly": &p.Yearly, "floor": &p.Floor,
		}[name] = n
	}
	return p
}

func readTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(minute, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// readBackup reads one; without a flag it was read back, and is of an accepted lineage.
func readBackup(t *testing.T, words []string) retention.Backup {
	t.Helper()
	revision, err := strconv.ParseInt(strings.TrimPrefix(words[2], "r"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	b := retention.Backup{Time: readTime(t, words[0]), Lineage: words[1], Revision: revision, Accepted: true, Witness: true, ReadBack: true}
	for _, flag := range words[3:] {
		switch flag {
		case "suspect":
			b.Accepted, b.Witness = false, false
		case "follows": // accepted, but not by itself
			b.Witness = false
		case "held":
			b.Held = true
		case "proven":
			b.Proven = true
		case "unread":
			b.ReadBack = false
		case "broken":
			b.Broken = "its payload is missing"
		case "unsigned":
			b.Excluded = "not signed by a trusted key"
		default:
			t.Fatalf("flag %q", flag)
		}
	}
	return b
}

func (c table) judged() string {
	var out strings.Builder
	for _, line := range c.head {
		fmt.Fprintln(&out, line)
	}
	width := 0
	for _, g := range c.given {
		width = max(width, len(g))
	}
	for i, d := range c.policy.Plan(c.now, c.backups) {
		reasons := strings.Join(d.Reasons, "; ")
		fmt.Fprintln(&out, strings.TrimRight(fmt.Sprintf("%-*s | %-6s | %s", width, c.given[i], d.Verdict, reasons), " "))
	}
	return out.String()
}

func TestPlanningChangesNothingItWasGiven(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	var given []retention.Backup
	for i := range 20 {
		given = append(given, retention.Backup{ID: fmt.Sprint(i), Time: day.Add(time.Duration(i*7%20) * time.Hour), Lineage: "a", Accepted: true})
	}
	before := slices.Clone(given)
	decisions := retention.Policy{Last: 2}.Plan(day.AddDate(0, 0, 2), given)
	if diff := cmp.Diff(before, given); diff != "" {
		t.Error(diff)
	}
	for i, d := range decisions {
		if d.ID != given[i].ID || (len(d.Reasons) == 0) != (d.Verdict == retention.Remove) {
			t.Errorf("decision %d is %+v about %s", i, d, given[i].ID)
		}
	}
}
