package main

import (
	"fmt"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/doctor"
)

// doctorDirectoryJSON is a data directory in `doctor -o json`. docs/data-directories.md tells how to compare several by it.
type doctorDirectoryJSON struct {
	Path            string        `json:"path"`
	InUse           bool          `json:"in_use"`
	Member          catalog.HexID `json:"member_id"`
	Cluster         catalog.HexID `json:"cluster_id"`
	WALTerm         uint64        `json:"wal_term"`
	WALIndex        uint64        `json:"wal_index"`
	Commit          uint64        `json:"commit"`
	ConsistentIndex uint64        `json:"consistent_index"`
	Revision        int64         `json:"revision"`
	Keys            int64         `json:"keys"`
	Hash            *uint32       `json:"hash,omitempty"`
	Modified        *time.Time    `json:"modified,omitempty"`
	Size            int64         `json:"size"`
	DBSize          int64         `json:"db_size"`
	FreeBytes       int64         `json:"free_bytes"`
	Codes           []string      `json:"codes"`
}

func newDoctorDirectoriesJSON(dirs []doctor.Directory) []doctorDirectoryJSON {
	all := []doctorDirectoryJSON{}
	for _, d := range dirs {
		j := doctorDirectoryJSON{
			Path: d.Path, InUse: d.InUse, Member: catalog.HexID(d.MemberID), Cluster: catalog.HexID(d.ClusterID),
			WALTerm: d.WALTerm, WALIndex: d.WALIndex, Commit: d.Commit, ConsistentIndex: d.ConsistentIndex, Revision: d.Revision, Keys: d.LiveKeys,
			Size: d.Size, DBSize: d.DBSize, FreeBytes: d.FreeBytes, Codes: []string{},
		}
		if d.Hash != nil {
			j.Hash = &d.Hash.Hash
		}
		if !d.Modified.IsZero() {
			when := d.Modified.UTC()
			j.Modified = &when
		}
		for _, f := range d.Findings {
			j.Codes = append(j.Codes, f.Code)
		}
		all = append(all, j)
	}
	return all
}

// directoryText tells of a data directory what two of them are compared by, and if so that nothing is wrong.
func directoryText(d doctor.Directory) string {
	text := d.Path
	if d.MemberID != 0 {
		text += " of member " + catalog.HexID(d.MemberID).String()
	}
	switch {
	case d.InUse:
		return text + ": in use: its etcd is to be asked"
	case d.Revision == 0 && d.WALIndex == 0:
		text += ": nothing can be read from it"
	default:
		text += fmt.Sprintf(": revision %d, %s; index %d in the database, %d committed, %d in the log (term %d)",
			d.Revision, plural(int(d.LiveKeys), "key"), d.ConsistentIndex, d.Commit, d.WALIndex, d.WALTerm)
	}
	if d.Hash != nil {
		text += fmt.Sprintf("; HashKV %d", d.Hash.Hash)
	}
	if !d.Modified.IsZero() {
		text += "; written " + d.Modified.UTC().Format(time.DateTime) + " UTC"
	}
	if len(d.Findings) == 0 {
		text += "; nothing wrong was found"
	}
	return text
}
