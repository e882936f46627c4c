package like

import (
	"fmt"
	"path"
	"strings"
)

// fromUnit reads the [Service] section of a systemd unit, and the files it takes its environment from.
func (n *Node) fromUnit(text string, h Host) (settings, error) {
	s := settings{env: map[string]string{}, workDir: "/"} // systemd's default
	expand := specifiers(n.File, h.Name)
	var start string
	for key, value := range service(text) {
		value = strings.TrimSpace(value)
		switch key {
		case "ExecStart":
			start = value // an empty one takes the earlier ones back
		case "Environment":
			for _, word := range split(expand(value)) {
				if name, v, ok := strings.Cut(word, "="); ok {
					s.env[name] = v
				}
			}
		case "WorkingDirectory":
			s.workDir = strings.TrimPrefix(expand(value), "-")
		case "User":
			n.User = expand(value)
		case "Group":
			n.Group = expand(value)
		}
	}
	if err := n.readEnvironment(text, s.env, expand, h); err != nil {
		return s, err
	}
	if start == "" {
		return s, fmt.Errorf("is a systemd unit without ExecStart: it starts nothing")
	}
	args, found := etcdArgs(shellWords(split(strings.TrimLeft(expand(start), "-@:+!"))))
	if !found {
		return s, fmt.Errorf("is a systemd unit whose ExecStart does not run etcd: %s", start)
	}
	s.flags = parseFlags(expandWords(args, s.env))
	return s, nil
}

// readEnvironment adds what the files of EnvironmentFile= set, which wins over Environment=.
func (n *Node) readEnvironment(text string, env map[string]string, expand func(string) string, h Host) error {
	for key, value := range service(text) {
		if key != "EnvironmentFile" || strings.TrimSpace(value) == "" {
			continue
		}
		file, optional := strings.CutPrefix(expand(strings.TrimSpace(value)), "-")
		data, err := h.ReadFile(file)
		switch {
		case err == nil:
			for name, v := range parseEnvironment(string(data)) {
				env[name] = v
			}
		case !optional:
			return &Error{n.File, "reads its environment from a file that cannot be read: " + err.Error(), "bring that file back; or give --member NAME and --data-dir DIR"}
		}
	}
	return nil
}

// service goes through the settings of the [Service] section in order, continued lines joined.
func service(text string) func(yield func(key, value string) bool) {
	return func(yield func(string, string) bool) {
		inside, joined := false, ""
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\r\n")
			trimmed := strings.TrimSpace(line)
			if trimmed != "" && (trimmed[0] == '#' || trimmed[0] == ';') {
				continue // also between continued lines
			}
			if more, continued := strings.CutSuffix(line, `\`); continued {
				joined += more + " "
				continue
			}
			line, joined = joined+line, ""
			trimmed = strings.TrimSpace(line)
			if strings.HasPrefix(trimmed, "[") {
				inside = trimmed == "[Service]"
				continue
			}
			if key, value, ok := strings.Cut(line, "="); ok && inside && !yield(strings.TrimSpace(key), value) {
				return
			}
		}
	}
}

// specifiers replaces those of systemd that units of etcd use. The others stay as they are.
func specifiers(file, host string) func(string) string {
	name := path.Base(file)
	plain, _, _ := strings.Cut(name, ".service")
	prefix, instance, _ := strings.Cut(plain, "@")
	short, _, _ := strings.Cut(host, ".")
	return strings.NewReplacer("%%", "%", "%H", host, "%l", short, "%p", prefix, "%N", plain, "%n", name, "%i", instance, "%I", instance).Replace
}

// expandWords replaces variables. A word that is a variable and nothing else becomes as many words as its value has.
func expandWords(args []string, env map[string]string) []string {
	var words []string
	for _, w := range args {
		if name, ok := strings.CutPrefix(w, "$"); ok && name != "" && strings.IndexFunc(name, notInName) < 0 {
			words = append(words, split(env[name])...)
			continue
		}
		words = append(words, expandVariables(w, env))
	}
	return words
}

// expandVariables replaces ${NAME} and $NAME, as systemd and a shell do; one that is not set is empty.
func expandVariables(text string, env map[string]string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		rest := text[i+1:]
		if rest[0] == '{' {
			end := strings.IndexByte(rest, '}')
			if end < 0 || strings.IndexFunc(rest[1:end], notInName) >= 0 {
				out.WriteByte('$')
				continue
			}
			out.WriteString(env[rest[1:end]])
			i += end + 1
			continue
		}
		end := strings.IndexFunc(rest, notInName)
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			out.WriteByte('$') // $(command) is for a shell to know
			continue
		}
		out.WriteString(env[rest[:end]])
		i += end
	}
	return out.String()
}

func notInName(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// parseEnvironment reads NAME=value lines with the quotes of a shell around values. Comments and other lines are passed over.
func parseEnvironment(text string) map[string]string {
	env := map[string]string{}
	joined := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); joined == "" && (trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';') {
			continue
		}
		if more, continued := strings.CutSuffix(line, `\`); continued {
			joined += more
			continue
		}
		line, joined = joined+line, ""
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok || name == "" || strings.IndexFunc(name, notInName) >= 0 {
			continue
		}
		env[name] = strings.Join(split(value), " ")
	}
	return env
}

// split takes a line apart at white space outside of quotes, and takes quotes and backslashes away, as systemd does.
func split(line string) []string {
	var words []string
	var word strings.Builder
	quote, inWord := byte(0), false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			inWord = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
