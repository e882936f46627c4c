package restore

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// settleOwners finds out whose each directory has to be: that of the one it replaces or, without one, of the user that the file of Like
// names. Where this process may not give it away, it says what a person has to do.
func (p *Plan) settleOwners() error {
	p.owners = map[string]*owner{}
	for _, t := range p.Dirs {
		var o *owner
		var err error
		if p.aside(t.Dir) != nil {
			if o, err = ownerOf(t.Dir); err != nil && !errors.Is(err, errors.ErrUnsupported) {
				return &UsageError{Reason: err.Error(), Advice: "look at " + t.Dir + "; nothing was touched"}
			}
		} else if p.Like != nil && t.Dir == p.Like.DataDir {
			o = p.ownerOfLike(t.Dir)
		}
		switch {
		case o == nil:
		case o.mayGive():
			p.owners[t.Dir] = o
		default:
			p.attend("%s will belong to whoever runs this: chown -R %d:%d %s before its etcd starts, or restore as root", t.Dir, o.uid, o.gid, t.Dir)
		}
	}
	return nil
}

// ownerOfLike is the user of the file; nil where it names none.
func (p *Plan) ownerOfLike(dir string) *owner {
	n := p.Like
	if n.User == "" && n.Group == "" {
		return nil
	}
	o, err := lookUp(n.User, n.Group)
	if err != nil {
		p.attend("%s runs its etcd as %s: %v; give %s to that user before it starts", n.File, n.User, err, dir)
		return nil
	}
	return o
}

// lookUp finds the numbers of a user and a group, each by name or number; "" is root, and the user's own group.
func lookUp(name, group string) (*owner, error) {
	o := &owner{}
	if name != "" {
		uid, err := strconv.Atoi(name)
		u, unknown := user.LookupId(name)
		if err != nil {
			if u, unknown = user.Lookup(name); unknown != nil {
				return nil, fmt.Errorf("there is no user %s here", name)
			}
			if uid, err = strconv.Atoi(u.Uid); err != nil {
				return nil, err
			}
		}
		o.uid = uid
		if unknown == nil { // a number needs no name, and has group 0 then, as in a container
			if o.gid, err = strconv.Atoi(u.Gid); err != nil {
				return nil, err
			}
		}
	}
	if group == "" {
		return o, nil
	}
	gid, err := strconv.Atoi(group)
	if err != nil {
		g, unknown := user.LookupGroup(group)
		if unknown != nil {
			return nil, fmt.Errorf("there is no group %s here", group)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return nil, err
		}
	}
	o.gid = gid
	return o, nil
}
