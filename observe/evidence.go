package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// evidence are the metrics that tell what is in the sinks. docs/metrics.md describes each; the two are held to each other by a test.
type evidence struct {
	codes []string // of what may need a person

	success, read                                              *prometheus.Desc
	backupTime, backupEvery, backupTook, backupSize            *prometheus.Desc
	revision, liveKeys, sequence, withoutQuorum                *prometheus.Desc
	backups, missing, damaged, up                              *prometheus.Desc
	restorable, proven, floor, suspect, frozen                 *prometheus.Desc
	hidden, unreadable, gaps                                   *prometheus.Desc
	checkTime, checkEvery, checkFailed, rehearsal              *prometheus.Desc
	certificate, skew, recipients, recipientsChanged, unsigned *prometheus.Desc
	attention                                                  *prometheus.Desc
}

func newEvidence(codes []string) *evidence {
	of := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lifeboat_"+name, help, append([]string{"cluster"}, labels...), nil)
	}
	return &evidence{
		codes:   codes,
		success: of("observation_success", "Whether the sinks of the cluster could be read the last time; if not, everything else is as it was before."),
		read:    of("observation_timestamp_seconds", "When the sinks of the cluster could last be read."),

		backupTime:    of("backup_timestamp_seconds", "Start of the newest usable backup."),
		backupEvery:   of("backup_interval_seconds", "Longest time between two slots of the schedule for backups."),
		backupTook:    of("backup_duration_seconds", "How long the newest usable backup took."),
		backupSize:    of("backup_size_bytes", "Size of the newest usable backup: of the database (plain), and of what is stored (sealed).", "kind"),
		revision:      of("backup_revision", "Revision of etcd in the newest usable backup."),
		liveKeys:      of("backup_live_keys", "Keys in the newest usable backup."),
		sequence:      of("backup_sequence", "How many backups came before the newest usable one, plus one."),
		withoutQuorum: of("backup_without_quorum", "Whether the newest usable backup was taken without quorum."),

		backups: of("backups", "Backups that a sink holds.", "sink"),
		missing: of("missing_backups", "Backups that other sinks hold and this one does not.", "sink"),
		damaged: of("damaged_backups", "Backups whose payload in this sink is missing, cut short or was found damaged.", "sink"),
		up:      of("sink_up", "Whether the sink could be read the last time.", "sink"),

		restorable: of("restorable_backups", "Backups of the current lineage that are whole in at least one sink."),
		proven:     of("proven_backups", "Restorable backups with a deep verification or a rehearsal that passed."),
		floor:      of("retention_floor", "How many restorable backups of a lineage retention never goes below."),
		suspect:    of("suspect_backups", "Backups that do not continue the history of the cluster and wait for a decision, by why.", "reason"),
		frozen:     of("frozen_backups", "Backups that no rule of retention keeps, and that stay until a newer lineage is accepted."),

		hidden:     of("hidden_backups", "Backups behind delete markers."),
		unreadable: of("unreadable_objects", "Manifests, marks and reports that could not be read or trusted."),
		gaps:       of("sequence_gaps", "Backups that others follow and that are not there, because they were pruned or removed by somebody."),

		checkTime:   of("check_timestamp_seconds", "When a check of this kind was last passed.", "kind"),
		checkEvery:  of("check_interval_seconds", "Longest time between two slots of the schedule for a check of this kind.", "kind"),
		checkFailed: of("check_failed", "Whether a check of this kind found something wrong, and did not find it right since.", "kind"),
		rehearsal:   of("rehearsal_duration_seconds", "Measured recovery time of the newest rehearsal that passed (total), and how long its phases took.", "phase"),

		certificate:       of("certificate_expiry_timestamp_seconds", "Earliest end of a certificate of this role, as the newest usable backup saw it.", "role"),
		skew:              of("clock_skew_seconds", "How far the bucket's clock was ahead of the host's that made the newest usable backup."),
		recipients:        of("recipients", "Keys that open the newest usable backup."),
		recipientsChanged: of("recipients_changed", "Whether backups are sealed to other recipients than people have accepted."),
		unsigned:          of("unsigned", "Whether keys are trusted and the newest backup is signed by none of them."),
		attention:         of("attention", "Whether something needs a person, by the code of what it is.", "code"),
	}
}

// describe tells of every metric.
func (e *evidence) describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		e.success, e.read, e.backupTime, e.backupEvery, e.backupTook, e.backupSize, e.revision, e.liveKeys, e.sequence, e.withoutQuorum,
		e.backups, e.missing, e.damaged, e.up, e.restorable, e.proven, e.floor, e.suspect, e.frozen, e.hidden, e.unreadable, e.gaps,
		e.checkTime, e.checkEvery, e.checkFailed, e.rehearsal, e.certificate, e.skew, e.recipients, e.recipientsChanged, e.unsigned, e.attention,
	} {
		ch <- d
	}
}

// shown puts the metrics of one cluster into a channel.
type shown struct {
	*evidence
	ch      chan<- prometheus.Metric
	cluster string
}

func (s shown) value(d *prometheus.Desc, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{s.cluster}, labels...)...)
}

func (s shown) count(d *prometheus.Desc, n int, labels ...string) { s.value(d, float64(n), labels...) }

func (s shown) yes(d *prometheus.Desc, is bool, labels ...string) {
	s.value(d, map[bool]float64{true: 1}[is], labels...)
}

func (s shown) took(d *prometheus.Desc, t time.Duration, labels ...string) {
	s.value(d, t.Seconds(), labels...)
}

func (s shown) at(d *prometheus.Desc, t time.Time, labels ...string) {
	s.value(d, unixSeconds(t), labels...)
}

// unixSeconds keeps the milliseconds, which is all that a float64 of today holds for sure.
func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// facts shows all that the sinks told, and whether that is how they are now.
func (s shown) facts(f Facts, now bool) {
	if f.Newest != nil {
		s.newest(*f.Newest)
	}
	for _, k := range f.Sinks {
		s.yes(s.up, k.Up && now, k.Name)
		if k.Up {
			s.count(s.backups, k.Backups, k.Name)
			s.count(s.missing, k.Missing, k.Name)
			s.count(s.damaged, k.Damaged, k.Name)
		}
	}
	s.count(s.restorable, f.Restorable)
	s.count(s.proven, f.Proven)
	for _, r := range reasons() {
		s.count(s.suspect, f.Suspect[r], string(r))
	}
	s.count(s.frozen, f.Frozen)
	s.count(s.hidden, f.Hidden)
	s.count(s.unreadable, f.Unreadable)
	s.count(s.gaps, f.Gaps)
	for _, c := range checks() {
		if t, ok := f.Succeeded[c]; ok {
			s.at(s.checkTime, t, string(c))
		}
		s.yes(s.checkFailed, f.Failed[c], string(c))
	}
	for _, phase := range phases() {
		if t, ok := f.Rehearsal[phase]; ok {
			s.took(s.rehearsal, t, phase)
		}
	}
	for _, r := range roles() {
		if t, ok := f.Certificates[r]; ok {
			s.at(s.certificate, t, string(r))
		}
	}
	s.yes(s.recipientsChanged, f.RecipientsChanged)
	s.yes(s.unsigned, f.Unsigned)
	for _, code := range s.codes {
		s.yes(s.attention, f.Attention[code], code)
	}
}

func (s shown) newest(b Backup) {
	s.at(s.backupTime, b.Time)
	s.took(s.backupTook, b.Took)
	s.value(s.backupSize, float64(b.Plain), "plain")
	s.value(s.backupSize, float64(b.Sealed), "sealed")
	s.value(s.revision, float64(b.Revision))
	s.value(s.liveKeys, float64(b.LiveKeys))
	s.value(s.sequence, float64(b.Sequence))
	s.yes(s.withoutQuorum, !b.Quorum)
	s.took(s.skew, b.ClockAhead)
	s.count(s.recipients, b.Recipients)
}

// plan shows what the configuration wants.
func (s shown) plan(p Plan) {
	if p.BackupEvery > 0 {
		s.took(s.backupEvery, p.BackupEvery)
	}
	for _, c := range checks() {
		if every := p.CheckEvery[c]; every > 0 {
			s.took(s.checkEvery, every, string(c))
		}
	}
	s.count(s.floor, p.Floor)
}

// PhaseOf is the label of a rehearsal's phase: a name from a report may be anything.
func PhaseOf(name string) string {
	for _, known := range phases()[1:] {
		if name == known {
			return name
		}
	}
	return "other"
}
