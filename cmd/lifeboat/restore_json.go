package main

import (
	"time"

	"github.com/lifeboat-dr/lifeboat/restore"
)

// planJSON is `restore --dry-run -o json`.
type planJSON struct {
	Backup      string           `json:"backup"` // its id, or a local file's SHA-256
	File        string           `json:"file,omitempty"`
	Taken       time.Time        `json:"taken"`
	Revision    int64            `json:"revision"`
	Token       string           `json:"token"`
	Bump        int64            `json:"bump"`
	BytesNeeded int64            `json:"bytes_needed"`
	Members     []restore.Member `json:"members"`
	Directories []restore.Target `json:"directories"`
	Differences []string         `json:"differences"`
	NotHeld     []string         `json:"not_held"`
	NotProven   []string         `json:"not_proven,omitempty"`
	MovedAside  []restore.Aside  `json:"moved_aside,omitempty"`
	Like        *likeJSON        `json:"like,omitempty"`
	Attention   []string         `json:"attention"`
}

// likeJSON tells which file the member was read from.
type likeJSON struct {
	File string `json:"file"`
	Kind string `json:"kind"`
}

func newPlanJSON(p *restore.Plan) planJSON {
	out := planJSON{
		Backup: p.Source.ID, File: p.Source.File, Taken: p.Source.Taken.UTC(), Revision: p.Source.Revision,
		Token: p.Token, Bump: p.Bump, BytesNeeded: p.BytesNeeded, Members: p.Members, Directories: p.Dirs,
		Differences: append([]string{}, p.Differences...), NotHeld: append([]string{}, p.NotHeld...),
		NotProven: p.Source.Unproven, MovedAside: p.Asides, Attention: append([]string{}, p.Attention...),
	}
	if p.Like != nil {
		out.Like = &likeJSON{File: p.Like.File, Kind: string(p.Like.Kind)}
	}
	return out
}

// restoredJSON is `restore -o json`: the plan, and what was made of it.
type restoredJSON struct {
	Plan       planJSON             `json:"plan"`
	HashKV     uint32               `json:"hashkv"` // at the backup's revision, in every directory, before the bump
	OpenedWith string               `json:"opened_with,omitempty"`
	From       string               `json:"from,omitempty"` // the sink
	Members    []restoredMemberJSON `json:"members"`
	Elsewhere  map[string][]string  `json:"elsewhere,omitempty"` // arguments of `lifeboat restore` for members made by other runs
}

type restoredMemberJSON struct {
	Name    string   `json:"name"`
	DataDir string   `json:"data_dir"`
	Flags   []string `json:"flags"`
}

func newRestoredJSON(p *restore.Plan, r *restore.Result) restoredJSON {
	out := restoredJSON{Plan: newPlanJSON(p), HashKV: r.Hash.Hash, OpenedWith: r.OpenedWith, From: r.Sink, Elsewhere: r.Others}
	for _, m := range r.Members {
		out.Members = append(out.Members, restoredMemberJSON{m.Name, m.Dir, m.Flags})
	}
	return out
}
