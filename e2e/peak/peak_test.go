package peak

import (
	"os/exec"
	"testing"
)

func TestThePeakOfAChildIsSeenUnderItsName(t *testing.T) {
	// awk holds a string of 64 MiB while its shell waits
	u, err := Run(exec.Command("sh", "-c", `awk 'BEGIN { s = "x"; while (length(s) < 67108864) s = s s; system("sleep 0.2") }'; true`))
	if err != nil {
		t.Fatal(err)
	}
	kind, most := u.Most()
	if kind == "main" || most < 64<<20 || most > 1<<30 {
		t.Errorf("the peak is %d bytes in %q; all: %v", most, kind, u.Anon)
	}
	if u.Wall <= 0 || u.CPU <= 0 {
		t.Errorf("took %v, %v of CPU", u.Wall, u.CPU)
	}
}

func TestAFailingCommandTellsWhatItSaid(t *testing.T) {
	_, err := Run(exec.Command("sh", "-c", "echo broken >&2; exit 3"))
	if err == nil || err.Error() != "sh -c echo broken >&2; exit 3: exit status 3: broken\n" {
		t.Error(err)
	}
}
