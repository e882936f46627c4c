package like

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pod is what is looked at of a static pod manifest.
type pod struct {
	Spec struct {
		SecurityContext security    `yaml:"securityContext"`
		Containers      []container `yaml:"containers"`
		Volumes         []struct {
			Name     string `yaml:"name"`
			HostPath struct {
				Path string `yaml:"path"`
			} `yaml:"hostPath"`
		} `yaml:"volumes"`
	} `yaml:"spec"`
}

type container struct {
	Command []string `yaml:"command"`
	Args    []string `yaml:"args"`
	Env     []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	SecurityContext security `yaml:"securityContext"`
	VolumeMounts    []mount  `yaml:"volumeMounts"`
	WorkingDir      string   `yaml:"workingDir"`
}

type security struct {
	RunAsUser  *int64 `yaml:"runAsUser"`
	RunAsGroup *int64 `yaml:"runAsGroup"`
}

type mount struct {
	MountPath string `yaml:"mountPath"`
	Name      string `yaml:"name"`
	SubPath   string `yaml:"subPath"`
}

// fromPod reads the container that runs etcd.
func (n *Node) fromPod(data []byte) (settings, error) {
	var p pod
	if err := yaml.Unmarshal(data, &p); err != nil {
		return settings{}, fmt.Errorf("is no static pod manifest: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	var words, args []string
	i := slices.IndexFunc(p.Spec.Containers, func(c container) bool {
		words = shellWords(slices.Concat(c.Command, c.Args))
		var found bool
		args, found = etcdArgs(words)
		return found
	})
	if i < 0 {
		return settings{}, fmt.Errorf("is a static pod manifest in which no container runs etcd")
	}
	c := p.Spec.Containers[i]
	s := settings{env: map[string]string{}, workDir: c.WorkingDir}
	for _, e := range c.Env {
		s.env[e.Name] = expandPod(e.Value, s.env)
	}
	for i := range args {
		args[i] = expandPod(args[i], s.env)
	}
	s.flags = parseFlags(args)
	s.place = func(dir string) (string, error) { return p.onHost(c, dir) }
	for _, by := range []security{p.Spec.SecurityContext, c.SecurityContext} { // the container's wins
		if by.RunAsUser != nil {
			n.User = strconv.FormatInt(*by.RunAsUser, 10)
		}
		if by.RunAsGroup != nil {
			n.Group = strconv.FormatInt(*by.RunAsGroup, 10)
		}
	}
	return s, nil
}

// shellWords takes the script of a shell apart: sh -c "exec etcd --name=…" is as good as the words themselves.
func shellWords(words []string) []string {
	if len(words) < 3 || !slices.Contains([]string{"sh", "bash", "dash", "ash"}, path.Base(words[0])) || !strings.HasPrefix(words[1], "-") || !strings.HasSuffix(words[1], "c") {
		return words
	}
	return split(words[2])
}

// expandPod replaces $(NAME) as the kubelet does, where the value is known. What is left of it, take refuses.
func expandPod(text string, env map[string]string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$(")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, rest, closed := strings.Cut(after, ")")
		value, known := env[name]
		if !closed || !known || value == "" {
			out.WriteString("$(")
			text = after
			continue
		}
		out.WriteString(value)
		text = rest
	}
}

// onHost translates a directory of the container into one of the machine.
func (p *pod) onHost(c container, dir string) (string, error) {
	best := -1
	for i, m := range c.VolumeMounts {
		if within(dir, path.Clean(m.MountPath)) && (best < 0 || len(m.MountPath) > len(c.VolumeMounts[best].MountPath)) {
			best = i
		}
	}
	if best < 0 {
		return "", fmt.Errorf("keeps its data in %s, which is no volume: it is gone with the container", dir)
	}
	m := c.VolumeMounts[best]
	for _, v := range p.Spec.Volumes {
		if v.Name == m.Name && v.HostPath.Path != "" {
			return path.Join(v.HostPath.Path, m.SubPath, strings.TrimPrefix(dir, path.Clean(m.MountPath))), nil
		}
	}
	return "", fmt.Errorf("keeps its data in %s, whose volume %q is no directory of this machine", dir, m.Name)
}

// within reports whether dir is base or lies beneath it.
func within(dir, base string) bool {
	return dir == base || base == "/" || strings.HasPrefix(dir, base+"/")
}
