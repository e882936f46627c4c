package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A diary makes backups one after the other, as Link says.
type diary struct {
	t *testing.T
	l Listing
}

// backup adds one that is sealed to the given recipients.
func (d *diary) backup(recipients ...string) *Entry {
	d.t.Helper()
	at := time.Date(2026, 11, 20, 12, len(d.l.Entries), 0, 0, time.UTC)
	m := sample(ID(fmt.Sprintf("%s-r%d-000000", at.Format(idTime), 100+len(d.l.Entries))))
	m.Sealed.Fingerprints = recipients
	d.l.Link(&m)
	d.l.Entries = append(d.l.Entries, Entry{Manifest: m, TextSHA256: strings.Repeat("0123456789abcdef", 4)})
	return &d.l.Entries[len(d.l.Entries)-1]
}

func (d *diary) want(since *Entry, come, gone []string) {
	d.t.Helper()
	c, changed := d.l.RecipientsChange()
	if since == nil {
		if changed {
			d.t.Errorf("a change is told of: %+v", c)
		}
		return
	}
	if !changed || c.Since != since.ID {
		d.t.Fatalf("changed %v since %q, want since %s", changed, c.Since, since.ID)
	}
	if diff := cmp.Diff([][]string{come, gone}, [][]string{c.Come(), c.Gone()}); diff != "" {
		d.t.Error(diff)
	}
}

func TestAChangeOfRecipientsIsToldUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	d := &diary{t: t}
	d.backup("a", "b")
	d.backup("b", "a")
	d.want(nil, nil, nil)
	first := *d.backup("b", "mallory")
	d.want(&first, []string{"mallory"}, []string{"a"})
	for range 3 {
		d.backup("mallory", "b")
	}
	d.want(&first, []string{"mallory"}, []string{"a"})
	d.l.Entries = d.l.Entries[len(d.l.Entries)-1:] // pruned
	d.want(&first, []string{"mallory"}, []string{"a"})
	d.backup("mallory", "b")
	d.want(&first, []string{"mallory"}, []string{"a"})
	if !d.l.AcceptsRecipients(d.l.Entries[0]) {
		t.Error("accepting would not end it")
	}
	d.l.Entries[0].Accepted = true
	d.want(nil, nil, nil)
	if e := d.backup("mallory", "b"); e.RecipientsChanged != nil {
		t.Errorf("still told after it was accepted: %+v", e.RecipientsChanged)
	}
	d.l.Entries = d.l.Entries[len(d.l.Entries)-1:] // the acceptance pruned too
	d.want(nil, nil, nil)
}

func TestGoingBackToTheOldRecipientsEndsTheChange(t *testing.T) {
	t.Parallel()
	d := &diary{t: t}
	d.backup("a")
	d.backup("b")
	d.backup("a")
	d.want(nil, nil, nil)
}

func TestASecondChangeIsHeldAgainstWhatPeopleKnow(t *testing.T) {
	t.Parallel()
	d := &diary{t: t}
	d.backup("a")
	d.backup("b")
	second := *d.backup("c")
	d.want(&second, []string{"c"}, []string{"a"})
	if d.l.AcceptsRecipients(d.l.Entries[1]) {
		t.Error("accepting b would accept c")
	}
	d.l.Entries[1].Accepted = true
	d.want(&second, []string{"c"}, []string{"a"})
}

func TestAnAcceptanceIsOfOneChangeOnly(t *testing.T) {
	t.Parallel()
	d := &diary{t: t}
	d.backup("a")
	d.backup("b").Accepted = true
	d.backup("a").Accepted = true
	d.want(nil, nil, nil)
	again := *d.backup("b") // a key that was given up comes back
	d.want(&again, []string{"b"}, []string{"a"})
}

func TestAcceptingALineageIsNotAcceptingOldRecipients(t *testing.T) {
	t.Parallel()
	d := &diary{t: t}
	d.backup("a").Accepted = true
	changed := *d.backup("b")
	d.want(&changed, []string{"b"}, []string{"a"})
	if d.l.AcceptsRecipients(d.l.Entries[0]) {
		t.Error("accepting the one before would accept the change")
	}
}

func TestTurningEncryptionOffIsAChange(t *testing.T) {
	t.Parallel()
	d := &diary{t: t}
	d.backup("a")
	off := *d.backup()
	d.want(&off, nil, []string{"a"})
}

func TestUnsignedBackupsCannotPutRecipientsBeforeTheChange(t *testing.T) {
	t.Parallel()
	d := &diary{t: t}
	d.backup("a").Sig.Trusted = true
	d.backup("mallory") // planted
	e := d.backup("mallory")
	e.Sig.Trusted = true
	d.want(e, []string{"mallory"}, []string{"a"})
}

func TestRacingBackupsOfOneSecondAreAcceptedTogether(t *testing.T) {
	t.Parallel()
	// The later of the two has the lower id, because its end is random.
	for _, ends := range [][2]string{{"bbca4c", "99b596"}, {"99b596", "bbca4c"}} {
		d := &diary{t: t}
		d.backup("a")
		for _, end := range ends {
			m := sample(ID("20261120T130000Z-r500-" + end))
			m.Sealed.Fingerprints = []string{"b"}
			d.l.Link(&m)
			d.l.Entries = append(d.l.Entries, Entry{Manifest: m, TextSHA256: strings.Repeat("0123456789abcdef", 4)})
		}
		d.want(&d.l.Entries[1], []string{"b"}, []string{"a"})
		d.l.Entries[2].Accepted = true
		d.want(nil, nil, nil)
	}
}
