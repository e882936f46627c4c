package restore

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"go.etcd.io/bbolt"
)

// A pageMap finds the dead pages of a bbolt file that can be left out of what is written: they need no room on the disk, and
// what was once deleted from the source does not travel on. A page that was live at any look counts as live, so that
// the state of the commit before the last, which the second meta page names, stays whole.
type pageMap struct {
	db    *bbolt.DB
	file  *os.File // which db is
	live  []bool
	known int   // how many pages the last whole look saw
	size  int64 // of a page, bytes
}

// look takes in the present state.
func (p *pageMap) look() (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer p.recoverHole(&err)
	return p.db.View(func(tx *bbolt.Tx) error {
		p.size = int64(p.db.Info().PageSize)
		total := int(tx.Size() / p.size)
		for len(p.live) < total {
			p.live = append(p.live, false)
		}
		for id := 0; id < total; id++ {
			info, err := tx.Page(id)
			if err != nil {
				return fmt.Errorf("page %d: %w", id, err)
			}
			if info.Type == "free" {
				continue
			}
			for last := min(id+info.OverflowCount, total-1); id < last; id++ {
				p.live[id] = true
			}
			p.live[id] = true
		}
		p.known = total
		return nil
	})
}

// recoverHole is to be deferred, and makes an error of a fault, which debug.SetPanicOnFault gives an address, on a page that an earlier look found dead. That is
// a hole by now, and a tmpfs needs room even for showing one: where none is left, it faults.
func (p *pageMap) recoverHole(err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	if fault, ok := cause.(interface {
		runtime.Error
		Addr() uintptr
	}); ok && p.known > 0 {
		id := (int64(fault.Addr()) - int64(p.db.Info().Data)) / p.size
		if id >= 0 && id < int64(p.known) && !p.live[id] {
			if _, *err = p.file.ReadAt(make([]byte, 1), id*p.size); *err == nil { // it is not the disk, then
				*err = fmt.Errorf("look at page %d, which is a hole: %w", id, syscall.ENOSPC)
			}
			return
		}
	}
	panic(cause)
}

// layout tells the runs of dead pages that are at least minGap bytes long. Shorter ones are not worth a hole each: they would
// scatter the file over the disk.
func (p *pageMap) layout(minGap int64) layout {
	l := layout{Size: int64(len(p.live)) * p.size}
	for id := 0; id < len(p.live); id++ {
		from := id
		for id < len(p.live) && !p.live[id] {
			id++
		}
		if n := int64(id-from) * p.size; n > 0 && n >= minGap {
			l.Gaps = append(l.Gaps, span{int64(from) * p.size, n})
		}
	}
	return l
}
