package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dashboard is what the tests read of charts/lifeboat/files/dashboard.json.
type dashboard struct {
	UID           string      `json:"uid"`
	SchemaVersion int         `json:"schemaVersion"`
	Panels        []dashPanel `json:"panels"`
	Templating    struct {
		List []struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"list"`
	} `json:"templating"`
}

type dashPanel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ H, W, X, Y int }
	Datasource  struct{ Type, UID string }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct {
		RefID      string `json:"refId"`
		Expr       string `json:"expr"`
		Datasource struct{ Type, UID string }
	} `json:"targets"`
}

func readDashboard(t testing.TB) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), "charts/lifeboat/files/dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries are what the dashboard asks, for all clusters, by panel.
func (d dashboard) queries() map[string]string {
	all := map[string]string{}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all[p.Title+" "+q.RefID] = strings.ReplaceAll(q.Expr, "$cluster", ".*")
		}
	}
	return all
}

// TestDashboardHasItsShape is what Grafana does not say when it is given a dashboard: panels that lie on each other, an id twice, a query of nothing.
func TestDashboardHasItsShape(t *testing.T) {
	t.Parallel()
	d, known := readDashboard(t), documented(t)
	if d.UID == "" || d.SchemaVersion < 39 || len(d.Templating.List) != 2 || d.Templating.List[0].Type != "datasource" || d.Templating.List[1].Name != "cluster" {
		t.Errorf("uid %q, schema %d, variables %v", d.UID, d.SchemaVersion, d.Templating.List)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s has the id %d of another", p.Title, p.ID)
		}
		ids[p.ID] = true
		for y := range p.GridPos.H {
			for x := range p.GridPos.W {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[at]; ok || at[0] >= 24 {
					t.Fatalf("%s lies on %q, or beyond the edge, at %v", p.Title, other, at)
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %d, %q, lacks title, description, unit, a query or the chosen data source", p.ID, p.Title)
		}
		wantQueries(t, p, known)
	}
}

func wantQueries(t *testing.T, p dashPanel, known map[string]bool) {
	t.Helper()
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if refs[q.RefID] || q.RefID == "" || q.Datasource.UID != "${datasource}" {
			t.Errorf("%s: query %q is there twice, or asks another data source", p.Title, q.RefID)
		}
		refs[q.RefID] = true
		own := ownMetric.FindAllString(q.Expr, -1)
		if len(own) == 0 {
			t.Errorf("%s: %s asks for nothing of ours", p.Title, q.Expr)
		}
		for _, name := range own {
			if !known[name] {
				t.Errorf("%s: docs/metrics.md has no %s", p.Title, name)
			}
			chosen := fmt.Sprintf("%s{cluster=~%q", name, "$cluster")
			if len(own) == 1 && !strings.Contains(q.Expr, chosen) && name != "lifeboat_build_info" && name != "lifeboat_config_reload_success" {
				t.Errorf("%s: %s leaves out which cluster was chosen", p.Title, q.Expr)
			}
		}
		if rest := strings.ReplaceAll(q.Expr, "$cluster", ""); strings.Contains(rest, "$") {
			t.Errorf("%s: %s has a variable that the tests do not know", p.Title, q.Expr)
		}
	}
}
