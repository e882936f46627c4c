// Package layout_test holds the project to the rules about its own shape that no linter knows: which package may import
// which, and what may stand nowhere.
package layout_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/tools"
)

const module = "github.com/lifeboat-dr/lifeboat/"

// mayImport is the table of imports: which packages of ours the first-named ones may use. "…" stands for the packages below.
// Tests are not held to it: they may use e2e/lab and what they need to set a scene.
func mayImport() map[string][]string {
	process := []string{"snapshot", "catalog", "crypto", "retention", "sinks"}
	return map[string][]string{
		"cmd/lifeboat":       {"…"},
		"internal/demo":      {"…"}, // the main job as a story: a second user of everything, beside the command line
		"backup":             process,
		"backup/crosscheck":  process,
		"backup/prune":       process,
		"guard":              process,
		"restore":            append(process, "internal/child", "internal/disk", "internal/holder", "restore/like", "restore/runbook"),
		"restore/like":       {},
		"restore/runbook":    {},
		"doctor":             {"snapshot", "catalog", "doctor/datadir", "internal/shell", "restore", "restore/runbook"},
		"restore/rehearsal":  append(process, "internal/throwaway", "internal/apiserver", "internal/pki", "restore"),
		"scheduler":          {},
		"observe":            {},
		"doctor/datadir":     {"snapshot", "internal/child", "internal/holder"},
		"retention":          {},
		"snapshot":           {"internal/child", "internal/disk"},
		"crypto":             {"internal/child", "internal/disk"},
		"catalog":            {"sinks"},
		"sinks":              {},
		"sinks/open":         {"sinks", "sinks/…"},
		"sinks/examine":      {"sinks", "sinks/conform"},
		"sinks/…":            {"sinks"},
		"sinks/file":         {"sinks", "internal/disk"},
		"sinks/gcs":          {"sinks", "sinks/overhttp"},
		"sinks/s3":           {"sinks", "sinks/overhttp"},
		"sinks/conform/…":    {"sinks", "sinks/conform", "e2e/lab"}, // for tests only
		"internal/throwaway": {"internal/member", "internal/pki"},
		"internal/member":    {"internal/child"},
		"internal/apiserver": {"internal/child", "internal/pki"},
		"internal/child":     {},
		"internal/disk":      {},
		"internal/disk/…":    {"internal/disk"}, // for tests only
		"internal/holder":    {},
		"internal/kubedata":  {},
		"internal/kubeevent": {},
		"internal/pki":       {},
		"internal/shell":     {},
		"e2e/…":              {"e2e/…", "internal/…"},
		"e2e":                {},

		"restore/rehearsal/…": {"restore/rehearsal"}, // its report as files
	}
}

func TestImportsPointOneWay(t *testing.T) {
	table := mayImport()
	for _, line := range goList(t, `{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}`) {
		name, imports, _ := strings.Cut(line, ":")
		name = strings.TrimPrefix(name, module)
		allowed, known := table[name]
		if !known {
			allowed, known = table[path.Dir(name)+"/…"]
		}
		if !known {
			allowed, known = table[strings.SplitN(name, "/", 2)[0]+"/…"]
		}
		if !known {
			t.Errorf("package %s is not in the table", name)
			continue
		}
		for _, imported := range strings.Fields(imports) {
			ours, found := strings.CutPrefix(imported, module)
			if found && !slices.ContainsFunc(allowed, func(a string) bool { return matches(a, ours) }) {
				t.Errorf("package %s may not import %s", name, ours)
			}
		}
	}
}

func matches(pattern, name string) bool {
	prefix, any := strings.CutSuffix(pattern, "…")
	return name == pattern || any && strings.HasPrefix(name, prefix)
}

func TestPackagesAreNamedAfterWhatTheyDo(t *testing.T) {
	for _, line := range goList(t, `{{.Name}} {{.ImportPath}}`) {
		name, where, _ := strings.Cut(line, " ")
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "misc"}, name) {
			t.Errorf("package %s says nothing with its name %s", where, name)
		}
	}
}

func goList(t *testing.T, format string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-f", format, "./...")
	cmd.Dir = root(t)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := tools.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// leftover is what comments must not say. The words are taken apart so that they do not find themselves.
var leftover = regexp.MustCompile(`no` + `lint|TO` + `DO|FIX` + `ME|XX` + `X`)

func TestNothingStandsInTheSourceThatMayNot(t *testing.T) {
	dir := root(t)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", ".cache", "bin", "dist"}, d.Name()):
			return fs.SkipDir
		case !strings.HasSuffix(file, ".go"):
			return nil
		}
		positions := token.NewFileSet()
		tree, err := parser.ParseFile(positions, file, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		for _, f := range findings(name, tree) {
			t.Errorf("%s:%d: %s", name, positions.Position(f.at).Line, f.what)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type finding struct {
	at   token.Pos
	what string
}

func findings(name string, tree *ast.File) (found []finding) {
	test := strings.HasSuffix(name, "_test.go")
	program := name == "cmd/lifeboat/main.go" || name == "build/image/main.go" || strings.HasPrefix(name, "e2e/")
	for _, group := range tree.Comments {
		for _, comment := range group.List {
			if word := leftover.FindString(comment.Text); word != "" {
				found = append(found, finding{comment.Pos(), "a comment says " + word})
			}
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				found = append(found, finding{n.Pos(), "init runs unasked"})
			}
		case *ast.SelectorExpr:
			of, _ := n.X.(*ast.Ident)
			switch {
			case of == nil:
			case test && strings.HasPrefix(n.Sel.Name, "Skip") && slices.Contains([]string{"t", "b", "f", "tb"}, of.Name):
				found = append(found, finding{n.Pos(), "a missing server is a failure, nothing is skipped"})
			case of.Name == "os" && n.Sel.Name == "Exit" && !test && !program:
				found = append(found, finding{n.Pos(), "only main may end the process"})
			case of.Name == "context" && (n.Sel.Name == "TO"+"DO" || n.Sel.Name == "Background" && !test && !program):
				found = append(found, finding{n.Pos(), "a context comes from the caller"})
			}
		}
		return true
	})
	return found
}
