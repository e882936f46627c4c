package datadir

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestThePagesHaveASectionOnEveryCode compares the codes of the source with those that the pages explain, in their order.
func TestThePagesHaveASectionOnEveryCode(t *testing.T) {
	t.Parallel()
	want := codesOfTheSource(t)
	var english []string
	for _, page := range []string{"data-directories.md", "data-directories.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		must(t, err)
		var explained []string
		for _, line := range strings.Split(string(text), "\n") {
			head, _, found := strings.Cut(line, "——")
			if !found {
				head, _, found = strings.Cut(line, "—")
			}
			if found && strings.HasPrefix(head, "- `") {
				for _, code := range regexp.MustCompile("`([a-z0-9-]+)`").FindAllStringSubmatch(head, -1) {
					explained = append(explained, code[1])
				}
			}
		}
		if english == nil {
			english = explained
		} else if !slices.Equal(explained, english) {
			t.Errorf("%s explains %v, the English page %v", page, explained, english)
		}
		got := slices.Sorted(slices.Values(explained))
		if !slices.Equal(got, want) {
			t.Errorf("%s explains\n%v, there are\n%v", page, got, want)
		}
	}
}

// codesOfTheSource are the values of the exported constants of datadir.go.
func codesOfTheSource(t *testing.T) (all []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "datadir.go", nil, 0)
	must(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is || !spec.Names[0].IsExported() {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		must(t, err)
		all = append(all, code)
		return true
	})
	slices.Sort(all)
	return all
}
