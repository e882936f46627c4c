package e2e

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

// TestAnInterruptedSinkCheckLeavesNothingInTheBucket interrupts at several moments.
func TestAnInterruptedSinkCheckLeavesNothingInTheBucket(t *testing.T) {
	t.Parallel()
	server := lab.StartMinIO(t)
	for _, after := range []time.Duration{300 * time.Millisecond, time.Second, 2500 * time.Millisecond} {
		bucket := server.Bucket(t)
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(built, "lifeboat"), "sink", "check", server.SinkURL(bucket), "--credentials-file", server.CredentialsFile)
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		puts := false
		for began := time.Now(); time.Since(began) < after || !puts && time.Since(began) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
			puts = puts || countVersions(t, server, bucket) > 0
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the status says it
		if code := cmd.ProcessState.ExitCode(); code != 130 || out.Len() > 0 || !puts {
			t.Errorf("interrupted after %v: exit %d, had put something: %v\nstdout:\n%s\nstderr:\n%s", after, code, puts, &out, &errOut)
		}
		if !strings.Contains(errOut.String(), "what the checks had put was removed again") {
			t.Errorf("stderr:\n%s", &errOut)
		}
		if n := countVersions(t, server, bucket); n > 0 {
			t.Errorf("interrupted after %v: %d objects are left\n%s", after, n, &errOut)
		}
		uploads, err := server.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
		if err != nil || len(uploads.Uploads) > 0 {
			t.Errorf("interrupted after %v: %d unfinished uploads are left, %v", after, len(uploads.Uploads), err)
		}
	}
}

// countVersions counts everything a bucket keeps, what is overwritten or hidden too.
func countVersions(t *testing.T, server *lab.S3, bucket string) (n int) {
	t.Helper()
	pages := s3.NewListObjectVersionsPaginator(server.Client(), &s3.ListObjectVersionsInput{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Versions) + len(page.DeleteMarkers)
	}
	return n
}
