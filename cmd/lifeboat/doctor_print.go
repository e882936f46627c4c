package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/doctor"
)

// doctorJSON is `doctor -o json`.
type doctorJSON struct {
	Time        time.Time             `json:"time"`
	Verdict     doctor.Verdict        `json:"verdict"`
	Sentence    string                `json:"sentence"`
	Healthy     bool                  `json:"healthy"`
	Cluster     *doctorClusterJSON    `json:"cluster,omitempty"`
	Backup      *doctorBackupJSON     `json:"backup,omitempty"`
	Directories []doctorDirectoryJSON `json:"directories"`
	Options     []doctor.Option       `json:"options"`
	Findings    []doctor.Finding      `json:"findings"`
	Unseen      []doctor.Unseen       `json:"unseen"`
}

type doctorClusterJSON struct {
	ID       catalog.HexID      `json:"id"`
	Quorum   bool               `json:"quorum"`
	Voters   int                `json:"voters"`
	Serving  int                `json:"serving"`
	Needed   int                `json:"needed"`
	Revision int64              `json:"revision"`
	Members  []doctorMemberJSON `json:"members"`
}

type doctorMemberJSON struct {
	Name     string        `json:"name"`
	ID       catalog.HexID `json:"id"`
	State    doctor.State  `json:"state"`
	Reason   string        `json:"reason"`
	Learner  bool          `json:"learner"`
	Leader   bool          `json:"leader"`
	Endpoint string        `json:"endpoint"`
	Version  string        `json:"version"`
	Revision int64         `json:"revision"`
	DBSize   int64         `json:"db_size"`
}

type doctorBackupJSON struct {
	ID         string  `json:"id"`
	AgeSeconds float64 `json:"age_seconds"`
	Revision   int64   `json:"revision"`
	Behind     *int64  `json:"revisions_behind,omitempty"`
}

func newDoctorJSON(f doctor.Facts, d doctor.Decision) doctorJSON {
	out := doctorJSON{
		Time: f.Now.UTC(), Verdict: d.Verdict, Sentence: d.Sentence, Healthy: d.Healthy(),
		Directories: newDoctorDirectoriesJSON(f.Directories),
		Options:     append([]doctor.Option{}, d.Options...), Findings: append([]doctor.Finding{}, d.Findings...), Unseen: append([]doctor.Unseen{}, f.Unseen...),
	}
	if f.Etcd != nil {
		out.Cluster = &doctorClusterJSON{
			ID: catalog.HexID(f.Etcd.ClusterID), Quorum: f.Etcd.Quorum, Voters: d.Voters, Serving: d.Serving, Needed: d.Needed, Revision: f.Etcd.Revision,
			Members: []doctorMemberJSON{},
		}
		for _, m := range d.Members {
			j := doctorMemberJSON{Name: m.Name, ID: catalog.HexID(m.ID), State: m.State, Reason: m.Reason, Learner: m.Learner}
			if s := m.Status; s != nil {
				j.Leader, j.Endpoint, j.Version, j.Revision, j.DBSize = s.Leader, s.URL, s.Version, s.Revision, s.DBSize
			}
			out.Cluster.Members = append(out.Cluster.Members, j)
		}
	}
	if b := d.Backup; b != nil {
		out.Backup = &doctorBackupJSON{ID: b.ID, AgeSeconds: b.Age.Seconds(), Revision: b.Revision}
		if b.Behind >= 0 {
			out.Backup.Behind = &b.Behind
		}
	}
	return out
}

// printDecision writes what was seen, what was found, and last what to do, the way that loses least first.
func printDecision(g *global, f doctor.Facts, d doctor.Decision) error {
	if err := g.table(seenRows(f, d)); err != nil {
		return err
	}
	var t strings.Builder
	line := func(format string, args ...any) { t.WriteString(visible(fmt.Sprintf(format, args...)) + "\n") }
	for _, x := range d.Findings {
		t.WriteByte('\n')
		line("%s  %s [%s]", strings.ToUpper(string(x.Severity)), x.Text, x.Code) // by the code the page about doctor tells more
		if x.Advice != "" {
			line("   %s", x.Advice)
		}
		for _, c := range x.Commands {
			line("     %s", c)
		}
	}
	t.WriteByte('\n')
	line("DECISION  %s", d.Sentence)
	for i, o := range d.Options {
		t.WriteByte('\n')
		line("%c. %s", 'A'+i, o.Title)
		line("   Loses %s.", o.Loses)
		for n, s := range o.Steps {
			where := ""
			if len(s.On) > 0 {
				where = " (on " + strings.Join(s.On, ", ") + ")"
			}
			line("   %d. %s%s", n+1, s.Title, where)
			for _, c := range s.Commands {
				line("        %s", c)
			}
			if s.Until != "" {
				line("      %s", s.Until)
			}
		}
	}
	_, err := io.WriteString(g.out, t.String())
	return err
}

// seenRows are what the decision rests on.
func seenRows(f doctor.Facts, d doctor.Decision) [][]string {
	var rows [][]string
	row := func(name, format string, args ...any) {
		rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
	}
	if e := f.Etcd; e != nil {
		state := "NO QUORUM"
		if e.Quorum {
			state = "quorum holds"
		}
		switch {
		case d.Verdict == doctor.Unknown:
			row("cluster", "NOT SEEN: something answers, and does not serve us")
		case e.ClusterID == 0:
			row("cluster", "NOBODY ANSWERS")
		default:
			row("cluster", "%s: %s, %d of %d voting members serve, %d are needed, revision %d", catalog.HexID(e.ClusterID), state, d.Serving, d.Voters, d.Needed, e.Revision)
		}
	} else {
		row("cluster", "not looked at: no endpoint was given")
	}
	for i, m := range d.Members {
		row(onlyFirst(i, "members"), "%s", memberText(m))
	}
	for i, dir := range f.Directories {
		row(onlyFirst(i, "directories"), "%s", directoryText(dir))
	}
	switch b := d.Backup; {
	case b != nil && b.Behind == 0:
		row("backup", "%s, %s old, revision %d, and none newer is known", b.ID, ageText(b.Age), b.Revision)
	case b != nil && b.Behind > 0:
		row("backup", "%s, %s old, revision %d, at least %d behind", b.ID, ageText(b.Age), b.Revision, b.Behind)
	case b != nil:
		row("backup", "%s, %s old, revision %d", b.ID, ageText(b.Age), b.Revision)
	case f.Backups != nil:
		row("backup", "NONE that can be used")
	default:
		row("backup", "not looked at, or not seen")
	}
	for i, u := range f.Unseen {
		row(onlyFirst(i, "NOT SEEN"), "%s: %s", u.What, oneLine(u.Reason))
		if u.Advice != "" {
			row("", "  %s", u.Advice)
		}
	}
	return rows
}

func memberText(m doctor.Member) string {
	name := orNone(m.Name)
	if m.Learner {
		name += " (learner, no vote)"
	}
	if m.ID != 0 { // 0 is a member that only a backup names
		name += " " + catalog.HexID(m.ID).String()
	}
	s := m.Status
	if s == nil {
		return fmt.Sprintf("%s %s: %s", name, strings.ToUpper(string(m.State)), m.Reason)
	}
	role := "follower"
	switch {
	case s.Leader:
		role = "leader"
	case !s.HasLeader:
		role = "no leader"
	}
	return fmt.Sprintf("%s up at %s: %s, etcd %s, revision %d, index %d, database %s", name, s.URL, role, s.Version, s.Revision, s.Applied, bytesText(s.DBSize))
}
