package restore

import (
	"fmt"

	"go.etcd.io/bbolt"
)

// A pageMap finds the dead pages of a bbolt file that can be left out of what is written: they need no room on the disk, and
// what was once deleted from the source does not travel on. A page that was live at any look counts as live, so that
// the state of the commit before the last, which the second meta page names, stays whole.
type pageMap struct {
	db   *bbolt.DB
	live []bool
	size int64 // of a page, bytes
}

// look takes in the present state.
func (p *pageMap) look() error {
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
		return nil
	})
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
