package restore

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/catalog"
	"github.com/lifeboat-dr/lifeboat/restore/like"
)

const (
	// walRoom is what etcd allocates for a write-ahead log and the next one, and growRoom what an edited database may grow by.
	walRoom  = 128 << 20
	growRoom = 16 << 20

	// defaultQuota is etcd's own.
	defaultQuota = 2 << 30

	// maxDatabase is larger than any database can be, and small enough to be multiplied.
	maxDatabase = 1 << 46
)

// A Plan says what is restored as what, and where. The first part is what a person chose; Resolve fills in the second from
// it, and nothing else: the same choice makes the same plan on every node.
type Plan struct {
	Source  Source
	Members []Member // all members of the new cluster, also where only one is made; nil means those of the source
	Only    string   // make this member's directory only; "" makes all
	Out     string   // the directories are Out/<member>
	DataDir string   // with Only: exactly this directory
	Attempt int      // 0 means 1

	MoveAside bool // rename data directories that exist, and put the restored ones in their place

	Like *like.Node // this member as the file that starts it describes it; what is chosen above wins over it

	NoBump      bool // leave the revision as it is, although the backup holds Kubernetes
	DropAuth    bool // turn authentication off in what is made: for a rehearsal, which has no passwords
	CountKeys   bool // have Result.Info count the keys by prefix
	EtcdVersion string
	MaxAge      time.Duration // refuse an older backup; 0 refuses none
	Head        int64         // the highest revision the old cluster is known to have reached; 0 means unknown

	Trust                catalog.Trust // whose signature the manifest must carry
	AcceptSuspect        bool
	AcceptStorageVersion bool
	IgnoreFreeSpace      bool
	RoomAdvice           string // what to do where there is too little room; "" is what whoever restores can do
	IgnoreRunning        bool   // an etcd that seems to work on the destination, whose directory is gone

	Token       string   // of the new cluster
	ClusterID   uint64   // what etcd makes of token and members
	Bump        int64    // by how much the revision is raised; 0 if it is not
	Dirs        []Target // what is made
	BytesNeeded int64    // free space that takes, at most
	Quota       int64    // --quota-backend-bytes for the new members
	Leftovers   []string // stages of killed restores into the same place, which Run removes
	Differences []string // what will be different afterwards, in sentences
	NotHeld     []string // what the new cluster needs and the backup does not hold
	Asides      []Aside  // existing directories that are moved
	Attention   []string // what a person has to see to, in sentences: where what is made is not as the file of Like says, for one
	sameMembers bool     // as the source's, so that nobody needs to be told
	fromSource  bool     // the members are the source's: nobody has chosen any
	owners      map[string]*owner
}

// A Target is a directory that is made, and whose it is.
type Target struct {
	Member string `json:"member"`
	Dir    string `json:"dir"`
}

// Resolve checks what was chosen and fills in the rest of the plan. It creates nothing, but looks at the file system for
// leftovers. Errors are *UsageError; and *Refusal where the file of Like and the members contradict each other.
func (p *Plan) Resolve() error {
	p.Attention = nil
	for _, settle := range []func() error{p.settleMembers, p.settlePlaces, p.settleAsides, p.settleOwners} {
		if err := settle(); err != nil {
			return err
		}
	}
	if p.Attempt == 0 {
		p.Attempt = 1
	}
	if p.Attempt < 1 || p.Attempt > maxAttempt {
		return &UsageError{
			Reason: fmt.Sprintf("--attempt %d is not between 1 and %d", p.Attempt, maxAttempt),
			Advice: "count the restores of this backup: 1 for the first, 2 for the next",
		}
	}
	if p.EtcdVersion != "" {
		if _, err := minorVersion(p.EtcdVersion); err != nil {
			return &UsageError{Reason: fmt.Sprintf("--etcd-version %q is not a version", p.EtcdVersion), Advice: "write it as 3.6 or 3.6.5"}
		}
	}
	p.Token = Token(p.Source.ID, p.Members, p.Attempt)
	c, err := newCluster(p.Token, p.Members)
	if err != nil {
		return err
	}
	p.ClusterID = uint64(c.raft.ID())
	p.Bump = 0
	if p.Source.Kubernetes && !p.NoBump {
		p.Bump = Bump(p.Attempt)
	}
	p.BytesNeeded = p.room()
	p.settleQuota()
	p.Differences, p.NotHeld = p.differences(), p.notHeld()
	return nil
}

func (p *Plan) settleMembers() (err error) {
	before := tidyClients(p.Source.Members)
	if p.Members == nil {
		p.Members, p.fromSource = before, true
	}
	if p.Members, err = checkMembers(p.Members); err != nil {
		return err
	}
	p.sameMembers = false
	if old, err := checkMembers(before); err == nil {
		p.sameMembers = initialCluster(old) == initialCluster(p.Members)
		for i, m := range p.Members {
			if m.ClientURLs == nil {
				p.Members[i].ClientURLs = clientsOf(m, old)
			}
		}
	}
	if err := p.settleLike(); err != nil {
		return err
	}
	if p.Only == "" {
		return nil
	}
	if !slices.ContainsFunc(p.Members, func(m Member) bool { return m.Name == p.Only }) {
		return &UsageError{
			Reason: fmt.Sprintf("--member %s is not among the members of the new cluster", p.Only),
			Advice: "it has " + names(p.Members) + "; give --member one of them, or all members with --initial-cluster",
		}
	}
	if !p.Source.exact() {
		return &UsageError{
			Reason: fmt.Sprintf("--member needs the exact id of a backup: %s can mean another one on the next node", p.Source.Asked),
			Advice: "just now it is " + p.Source.ID + ": give that on every node",
		}
	}
	return nil
}

func (p *Plan) settlePlaces() (err error) {
	switch {
	case p.DataDir != "" && p.Out != "":
		return &UsageError{Reason: "--data-dir and --out contradict each other", Advice: "give --out DIR for all members, or --member NAME --data-dir DIR for one"}
	case p.DataDir != "" && p.Only == "":
		return &UsageError{Reason: "--data-dir is for one member, and none is named", Advice: "give --member NAME with it, or --out DIR for all members"}
	case p.DataDir == "" && p.Out == "" && p.Only != "":
		return &UsageError{Reason: "no place is given for the directory of " + p.Only, Advice: "give --data-dir DIR with --member"}
	case p.DataDir == "" && p.Out == "":
		return &UsageError{Reason: "no place is given for what is restored", Advice: "give --out DIR, under which each member gets a directory"}
	}
	p.Dirs, p.Leftovers = nil, nil
	if p.DataDir != "" {
		if p.DataDir, err = cleanPath(p.DataDir); err != nil {
			return err
		}
		p.Dirs = []Target{{p.Only, p.DataDir}}
		p.Leftovers = leftovers(filepath.Dir(p.DataDir), filepath.Base(p.DataDir))
		return nil
	}
	if p.Out, err = cleanPath(p.Out); err != nil {
		return err
	}
	for _, m := range p.Members {
		if p.Only == "" || m.Name == p.Only {
			p.Dirs = append(p.Dirs, Target{m.Name, filepath.Join(p.Out, m.Name)})
		}
	}
	base := filepath.Base(p.Out)
	p.Leftovers = append(leftovers(filepath.Dir(p.Out), base), leftovers(p.Out, base)...)
	return nil
}

// cleanPath makes a path absolute. The root of the file system cannot be a destination.
func cleanPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", &UsageError{Reason: err.Error(), Advice: "give an absolute path"}
	}
	if abs == filepath.Dir(abs) {
		return "", &UsageError{Reason: abs + " cannot be restored into", Advice: "give a directory beneath it"}
	}
	return abs, nil
}

// room is the most that is on the disk at one moment: first the sealed and the plain file, then every member.
func (p *Plan) room() int64 {
	opening := p.Source.Size
	if p.Source.Entry != nil {
		opening += p.Source.Entry.Manifest.Sealed.Size
	}
	if p.Source.Size > maxDatabase {
		return math.MaxInt64 // no manifest is trusted so far
	}
	return max(opening, int64(len(p.Dirs))*(p.Source.Size+walRoom+growRoom))
}

// quota keeps the source's quota unless the database nearly fills it: a member over its quota refuses every write.
func quota(source, size int64) int64 {
	q := source
	if q <= 0 {
		q = defaultQuota
	}
	const step = 64 << 20
	if size > q/5*4 {
		q = max(q, (2*size+step-1)/step*step)
	}
	return q
}

// place is the folder the stage is made in and the name it is for. With whole, the stage becomes the destination itself by
// one rename; otherwise what is in it is moved into an existing folder.
func (p *Plan) place() (parent, name string, whole bool) {
	if p.DataDir != "" {
		return filepath.Dir(p.DataDir), filepath.Base(p.DataDir), true
	}
	if _, err := os.Stat(p.Out); err == nil {
		return p.Out, filepath.Base(p.Out), false
	}
	return filepath.Dir(p.Out), filepath.Base(p.Out), true
}

func names(members []Member) string {
	var s string
	for i, m := range members {
		if i > 0 {
			s += ", "
		}
		s += m.Name
	}
	return s
}
