package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A MarkKind is something that can be decided about a backup after it was made.
type MarkKind string

// The kinds of marks. A hold lasts until a later release; an acceptance is for the whole lineage of the backup, and for good.
const (
	MarkHold    MarkKind = "hold"
	MarkRelease MarkKind = "release"
	MarkAccept  MarkKind = "accept"
)

func (k MarkKind) known() bool { return k == MarkHold || k == MarkRelease || k == MarkAccept }

// A Mark is a decision about a backup, kept beside the manifest, which never changes.
type Mark struct {
	Format  int       `json:"format"`
	Kind    string    `json:"kind"` // always "mark"
	ID      ID        `json:"id"`
	Cluster string    `json:"cluster"`
	Mark    MarkKind  `json:"mark"`
	Time    time.Time `json:"time"`   // UTC, to the microsecond
	Reason  string    `json:"reason"` // in the person's words; may be empty
}

const kindMark = "mark"

// key is where the mark belongs.
func (m Mark) key() string { return MarkKey(m.Cluster, m.ID, m.Time, m.Mark) }

// EncodeMark makes the note of a mark; without signers it is unsigned. Format and Kind need not be set.
func EncodeMark(m Mark, signers ...note.Signer) ([]byte, error) {
	m.Format, m.Kind, m.Time = Format, kindMark, m.Time.UTC().Truncate(time.Microsecond)
	if !validID(m.ID) || CheckCluster(m.Cluster) != nil || !m.Mark.known() || m.Time.IsZero() {
		return nil, fmt.Errorf("encode mark %q of %q: a field is missing or impossible", m.Mark, m.ID)
	}
	data, err := encodeNote(m, signers)
	if err != nil {
		return nil, fmt.Errorf("encode mark %s of %s: %w", m.Mark, m.ID, err)
	}
	return data, nil
}

// DecodeMark reads the note of a mark that lies under key. A trusted key makes unsigned marks ErrNotAuthentic, whatever
// Trust.AcceptUnsigned says: that is for old backups, not for new decisions.
func DecodeMark(key string, data []byte, t Trust) (Mark, error) {
	t.AcceptUnsigned = false
	text, _, err := openNote(data, t)
	if err != nil {
		return Mark{}, fmt.Errorf("mark: %w", err)
	}
	var m Mark
	if err := json.Unmarshal(text, &m); err != nil {
		return Mark{}, fmt.Errorf("mark: %w: %w", ErrDamaged, err)
	}
	if m.Format != Format || m.Kind != kindMark || !m.Mark.known() {
		return Mark{}, fmt.Errorf("mark: format %d, kind %.40q, mark %.40q: %w", m.Format, m.Kind, m.Mark, ErrUnsupported)
	}
	if !validID(m.ID) || CheckCluster(m.Cluster) != nil || m.Time.IsZero() {
		return Mark{}, fmt.Errorf("mark: %w: a field is missing or impossible", ErrDamaged)
	}
	if m.key() != key {
		return Mark{}, fmt.Errorf("mark: %w: it belongs at %.200q", ErrNotAuthentic, m.key())
	}
	return m, nil
}

// PutMark writes a mark into one sink. It does not look whether the backup exists.
func PutMark(ctx context.Context, s Named, m Mark, signers ...note.Signer) error {
	data, err := EncodeMark(m, signers...)
	if err != nil {
		return err
	}
	return putNote(ctx, s, m.key(), m.ID, data)
}

// putNote creates a note and reads it back. What is there already is as good if it is the same.
func putNote(ctx context.Context, s Named, key string, id ID, data []byte) error {
	putErr := s.Put(ctx, key, bytes.NewReader(data), int64(len(data)))
	if putErr != nil && ctx.Err() != nil {
		return &Problem{s.Name, key, id, putErr}
	}
	// An error may hide that it was written after all, so look in either case.
	got, err := getNote(ctx, s, key)
	switch {
	case err == nil && bytes.Equal(got, data):
		return nil
	case err == nil && errors.Is(putErr, fs.ErrExist):
		return &Problem{s.Name, key, id, fmt.Errorf("another one has this name: %w", putErr)}
	case putErr != nil:
		return &Problem{s.Name, key, id, putErr}
	case err != nil:
		return &Problem{s.Name, key, id, fmt.Errorf("read back: %w", err)}
	}
	return &Problem{s.Name, key, id, fmt.Errorf("%w: read back as something else than was written", ErrDamaged)}
}

// foundMark is a mark that was read, or why there is none.
type foundMark struct {
	key  string
	id   ID // by the key
	mark Mark
	err  error
}

func readMark(cluster string, f fetched, t Trust) foundMark {
	m := foundMark{key: f.key}
	if m.id, _, _, m.err = parseMarkKey(cluster, f.key); m.err == nil {
		m.err = f.err
	}
	if m.err == nil {
		m.mark, m.err = DecodeMark(f.key, f.data, t)
	}
	return m
}

// mergeMarks applies what was decided: of hold and release the last by key wins.
func (l *Listing) mergeMarks(ss []Named, held []holdings, t Trust) {
	decided := make(map[string]Mark)
	ignored := make(map[string]bool)
	for i := range held {
		for _, f := range held[i].marks {
			switch {
			case f.err == nil:
				decided[f.key] = f.mark
			case t.Verifiers != nil && errors.Is(f.err, ErrNotAuthentic):
				ignored[f.key] = true
			default:
				l.Problems = append(l.Problems, &Problem{ss[i].Name, f.key, f.id, f.err})
			}
		}
	}
	for key := range ignored {
		if _, elsewhere := decided[key]; !elsewhere {
			l.IgnoredMarks++
		}
	}
	byID := make(map[ID]int)
	for i, e := range l.Entries {
		byID[e.ID] = i
	}
	for _, key := range slices.Sorted(maps.Keys(decided)) {
		m := decided[key]
		i, ok := byID[m.ID]
		if !ok { // of a backup that was removed
			continue
		}
		l.Entries[i].Decided = m.Time // in the order of the keys, which is that of time
		switch m.Mark {
		case MarkHold:
			l.Entries[i].Held, l.Entries[i].HeldFor = true, m.Reason
		case MarkRelease:
			l.Entries[i].Held, l.Entries[i].HeldFor, l.Entries[i].Released = false, "", key
		case MarkAccept:
			l.Entries[i].Accepted = true
		}
	}
}
