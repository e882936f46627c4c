// Package member runs single etcd members as child processes: the built-in etcd, which is this binary executed again, or any
// etcd binary from 3.4 on, from one and the same description.
//
// It serves throwaway clusters: of a rehearsal, the demo, the tests. It listens on the URLs it is told, which should be
// loopback ones; it never runs etcd inside the calling process, because a damaged data directory can kill whatever opens it; and
// it knows nothing of clusters, so waiting for a quorum and removing data directories is the caller's.
package member

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/child"
)

// A member that was asked to stop hands its leadership over and lets open streams end, which etcd gives up to 7 s; what then
// still runs is killed.
const stopGrace = 10 * time.Second

// TLS names the files of one side's identity and of the authority it trusts; the zero value means plaintext. Each side has
// to show a certificate of that authority to the other.
type TLS struct{ CA, Cert, Key string }

// A Spec says how to run one member. Everything but QuotaBytes, the TLS parts, Args and Binary is required; State is "new"
// unless told otherwise.
type Spec struct {
	Binary         string // path of an etcd binary; "" runs the built-in etcd
	Name           string
	DataDir        string
	ClientURL      string
	PeerURL        string
	InitialCluster map[string]string // peer URL by member name, this one included
	Token          string
	State          string // "new" or "existing"
	QuotaBytes     int64  // backend quota; 0 is etcd's default of 2 GiB
	ClientTLS      TLS
	PeerTLS        TLS
	ReusePort      bool     // share its ports with sockets that hold them, see throwaway.Addresses; etcd 3.5 or newer
	Args           []string // further flags, for a Binary only
	LogFile        string   // appended to; "" is DataDir + ".log"
}

// check finds what would otherwise be a puzzling message from etcd, or from another member later.
func (s Spec) check() error {
	switch {
	case s.Name == "" || s.DataDir == "" || s.ClientURL == "" || s.PeerURL == "" || s.Token == "":
		return errors.New("name, data directory, URLs and token are required")
	case s.InitialCluster[s.Name] != s.PeerURL:
		return fmt.Errorf("its peer URL %s is not what the initial cluster says (%q)", s.PeerURL, s.InitialCluster[s.Name])
	case s.State != "" && s.State != "new" && s.State != "existing":
		return fmt.Errorf("state %q is neither new nor existing", s.State)
	case s.Binary == "" && len(s.Args) > 0:
		return errors.New("the built-in etcd takes no further flags")
	}
	return nil
}

func (s Spec) initialCluster() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(s.InitialCluster)) {
		pairs = append(pairs, name+"="+s.InitialCluster[name])
	}
	return strings.Join(pairs, ",")
}

func (s Spec) state() string {
	if s.State == "" {
		return "new"
	}
	return s.State
}

func (s Spec) logFile() string {
	if s.LogFile == "" {
		return s.DataDir + ".log"
	}
	return s.LogFile
}

// flags are understood by every etcd from 3.4 to 3.7. 3.4 has a second logger, which is its default and cannot be read by
// reason.
func (s Spec) flags() []string {
	flags := []string{
		"--name", s.Name,
		"--data-dir", s.DataDir,
		"--listen-client-urls", s.ClientURL,
		"--advertise-client-urls", s.ClientURL,
		"--listen-peer-urls", s.PeerURL,
		"--initial-advertise-peer-urls", s.PeerURL,
		"--initial-cluster", s.initialCluster(),
		"--initial-cluster-token", s.Token,
		"--initial-cluster-state", s.state(),
		"--logger", "zap",
		"--log-level", "warn",
		"--log-outputs", "stderr",
	}
	if s.ReusePort {
		flags = append(flags, "--socket-reuse-port")
	}
	if s.QuotaBytes > 0 {
		flags = append(flags, "--quota-backend-bytes", strconv.FormatInt(s.QuotaBytes, 10))
	}
	if s.ClientTLS != (TLS{}) {
		flags = append(flags, "--client-cert-auth",
			"--trusted-ca-file", s.ClientTLS.CA, "--cert-file", s.ClientTLS.Cert, "--key-file", s.ClientTLS.Key)
	}
	if s.PeerTLS != (TLS{}) {
		flags = append(flags, "--peer-client-cert-auth",
			"--peer-trusted-ca-file", s.PeerTLS.CA, "--peer-cert-file", s.PeerTLS.Cert, "--peer-key-file", s.PeerTLS.Key)
	}
	return append(flags, s.Args...)
}

// A Process is a running member, or one that has ended. Its methods may be called by several goroutines at once.
type Process struct {
	name   string
	log    string
	cmd    *exec.Cmd
	asked  sync.Once
	wanted chan struct{} // closed once somebody here asked for the end
	done   chan struct{}
	err    error // why it ended, readable after done
}

// Start starts a member and returns at once: it serves only when a quorum of its cluster runs. Cancelling ctx kills it, and so
// does the death of this process.
func Start(ctx context.Context, s Spec) (*Process, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("member %s: %w", s.Name, err)
	}
	cmd, err := command(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", s.Name, err)
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("member %s: log: %w", s.Name, err)
	}
	defer log.Close() // the child has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	from, err := log.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("member %s: log: %w", s.Name, err)
	}
	exit, err := child.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", s.Name, err)
	}
	p := &Process{name: s.Name, log: s.logFile(), cmd: cmd, wanted: make(chan struct{}), done: make(chan struct{})}
	go func() {
		p.err = p.reason(<-exit, from)
		close(p.done)
	}()
	return p, nil
}

func command(ctx context.Context, s Spec) (*exec.Cmd, error) {
	if s.Binary == "" {
		arg, err := s.encode()
		if err != nil {
			return nil, err
		}
		return child.Command(ctx, Role, arg), nil
	}
	cmd := exec.CommandContext(ctx, s.Binary, s.flags()...)
	// Environment variables named ETCD_… are flags too, and it is not this cluster they are meant for.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ETCD_") })
	return cmd, nil
}

// reason turns the end of the process into an error; an end that was asked for is none.
func (p *Process) reason(exit error, logFrom int64) error {
	select {
	case <-p.wanted:
		return nil
	default:
	}
	how := "it ended by itself"
	if exit != nil {
		how = exit.Error()
	}
	if why := lastWords(p.log, logFrom); why != "" {
		how += ": " + why
	}
	return fmt.Errorf("member %s: %s", p.name, how)
}

// Stop asks the member to end in order, kills it after 10 s, and returns when it is gone. Stopping a member that has ended is
// no error.
func (p *Process) Stop() error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopGrace):
		return p.Kill()
	}
}

// Kill ends the member with SIGKILL and returns when it is gone. Killing a member that has ended is no error.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *Process) signal(sig os.Signal) error {
	p.asked.Do(func() {
		select {
		case <-p.done: // its end came first and keeps its reason
		default:
			close(p.wanted)
		}
	})
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("member %s: %w", p.name, err)
	}
	return nil
}

// Done is closed when the process has ended, whatever the cause.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says after Done why the member ended, in its own last words where its log has any; nil if it was stopped or killed
// through this Process. Before Done it is nil.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Pid is the process id of the member.
func (p *Process) Pid() int { return p.cmd.Process.Pid }
