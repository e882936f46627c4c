package datadir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
)

// maxSegment is far beyond what a segment of 64 MB and one request can be, in bytes.
const maxSegment = 4 << 30

// readSegments goes through the segments, each on from the checksum of the one before, up to the first fault.
func (r *logReader) readSegments(ctx context.Context, o order) error {
	crc := uint32(0)
	for i, name := range o.Segments {
		seq, index, err := segmentName(name)
		if err != nil {
			return err
		}
		if i > 0 {
			if before, _, _ := segmentName(o.Segments[i-1]); before+1 != seq {
				r.fault(name, i == len(o.Segments)-1, fmt.Sprintf("a segment is missing between %s and it", o.Segments[i-1]))
				return nil
			}
		}
		r.starts = append(r.starts, index)
		if i == 0 {
			r.facts.First = max(index, 1)
			r.last = r.facts.First - 1
		}
		s := segment{name: name, last: i == len(o.Segments)-1, crc: crc}
		crc, err = r.readSegment(ctx, filepath.Join(o.WALDir, name), s)
		var bad damageError
		if errors.As(err, &bad) {
			r.fault(name, s.last, bad.text)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *logReader) fault(name string, last bool, text string) {
	r.facts.Fault, r.facts.FaultIn, r.facts.FaultLast = text, name, last
}

// A segment is one file of the log, and the checksum that it goes on from.
type segment struct {
	name string
	last bool
	crc  uint32
}

// readSegment reads one file as etcd does, record by record, and gives the checksum at its end. One at a time, so that memory does
// not grow with the log.
func (r *logReader) readSegment(ctx context.Context, path string, s segment) (uint32, error) {
	f, err := open(path, maxSegment)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	d := wal.NewDecoder(fileutil.NewFileReader(f))
	d.UpdateCRC(s.crc)
	rec := &walpb.Record{}
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		switch err := d.Decode(rec); {
		case errors.Is(err, io.EOF):
			return d.LastCRC(), r.ended(f, d.LastOffset(), s)
		case errors.Is(err, io.ErrUnexpectedEOF) && s.last:
			r.facts.Torn = fmt.Sprintf("the last record of %s, at byte %d, was not written to its end", s.name, d.LastOffset())
			return d.LastCRC(), nil
		case err != nil:
			return 0, damage("record %d, at byte %d: %v", n, d.LastOffset(), err)
		}
		if rec.GetType() == wal.CrcType {
			if crc := d.LastCRC(); crc != 0 && rec.Validate(crc) != nil {
				return 0, damage("record %d, at byte %d: the checksum does not go on from the segment before", n, d.LastOffset())
			}
			d.UpdateCRC(rec.GetCrc())
			continue
		}
		if err := r.record(rec); err != nil {
			return 0, damage("record %d, before byte %d: %v", n, d.LastOffset(), err)
		}
	}
}

// ended looks behind the last record, where nothing but zeros belong. Etcd overwrites the rest of the last segment with zeros, and
// never reads that of another.
func (r *logReader) ended(f *os.File, at int64, s segment) error {
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	zero := make([]byte, 1<<20)
	for {
		n, err := f.Read(buf)
		if !bytes.Equal(buf[:n], zero[:n]) {
			text := fmt.Sprintf("there is data in %s behind the record that ends at byte %d", s.name, at)
			if !s.last {
				return damage("%s", text)
			}
			r.facts.Torn = text
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
