package catalog

import (
	"context"
	"slices"
	"time"
)

// A ReadBackMode is how the copy in a sink is proved before the manifest is written.
type ReadBackMode string

// The modes, the strongest first.
const (
	// ReadBackAlways reads every sealed file back in full, decrypts it and compares.
	ReadBackAlways ReadBackMode = "always"
	// ReadBackDaily does that with the first of each day (UTC) and after a failure, and asks the store for the checksum of the others.
	ReadBackDaily ReadBackMode = "daily"
	// ReadBackChecksum asks the store for the checksum, and reads back only what it tells none of.
	ReadBackChecksum ReadBackMode = "checksum"
)

// ReadBackModes are all there are, the strongest first.
func ReadBackModes() []ReadBackMode {
	return []ReadBackMode{ReadBackAlways, ReadBackDaily, ReadBackChecksum}
}

// ParseReadBackMode reads a mode; none is ReadBackAlways. The error matches ErrUsage.
func ParseReadBackMode(s string) (ReadBackMode, error) {
	switch m := ReadBackMode(s); {
	case s == "":
		return ReadBackAlways, nil
	case slices.Contains(ReadBackModes(), m):
		return m, nil
	}
	return "", usagef("%.40q is no way to read back: it is always, daily or checksum", s)
}

// ReadBack tells how the copies were proved before the manifest was written.
type ReadBack struct {
	Mode ReadBackMode `json:"mode"` // the weakest of the sinks'
	OK   bool         `json:"ok"`   // read back in full, decrypted and compared in this run, in every sink that has the manifest from it
	// Sinks tells it of each sink that the run was to deliver to; none in older manifests. One that failed never got the manifest.
	Sinks []SinkReadBack `json:"sinks"`
}

// SinkReadBack tells it of one sink.
type SinkReadBack struct {
	Sink string       `json:"sink"`
	Mode ReadBackMode `json:"mode"`
	// Full: read back, decrypted and compared. Otherwise the sealed file was decrypted and compared where it was made, and the store's
	// checksum of what arrived is that of the sealed file; or it was read back in full after all, since the store told none.
	Full bool `json:"full"`
}

// ReadBackOf sums up what is told of the sinks.
func ReadBackOf(all []SinkReadBack) ReadBack {
	r := ReadBack{Mode: ReadBackAlways, OK: true, Sinks: slices.Clone(all)}
	for _, s := range all {
		if slices.Index(ReadBackModes(), s.Mode) > slices.Index(ReadBackModes(), r.Mode) {
			r.Mode = s.Mode
		}
		r.OK = r.OK && s.Full
	}
	return r
}

// FullIn reports whether the copy in a sink was read back in full when the backup was made.
func (r ReadBack) FullIn(sink string) bool {
	if len(r.Sinks) == 0 { // an older manifest
		return r.OK
	}
	return slices.ContainsFunc(r.Sinks, func(s SinkReadBack) bool { return s.Sink == sink && s.Full })
}

// ReadInFull reports whether a copy that is there was read back in full when the backup was made: decrypted, and compared with the snapshot.
// Where not all were, one that is known not to be whole now is none of them.
func (e Entry) ReadInFull() bool {
	if e.ReadBack.OK {
		return true
	}
	faults := e.Faults()
	return slices.ContainsFunc(e.Sinks, func(sink string) bool {
		return e.ReadBack.FullIn(sink) && !slices.ContainsFunc(faults, func(f Fault) bool { return f.Sink == sink })
	})
}

// Uploaded lists the ids of the payloads in a sink whose backups began on the day (UTC) of a time, with a manifest or without.
func Uploaded(ctx context.Context, s Named, cluster string, day time.Time) (ids []ID, err error) {
	for o, err := range s.List(ctx, payloads(cluster)+day.UTC().Format("20060102T")) {
		if err != nil {
			return nil, err
		}
		if id, ok := ownerOf(o.Key, payloads(cluster)); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
