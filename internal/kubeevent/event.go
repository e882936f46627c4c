package kubeevent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// What the API server takes at most: of a note, and of the name of who reports, in bytes; the rest is ours.
const (
	longestNote     = 1024
	longestInstance = 128
	longestPrefix   = 200 // of a name, less than it takes
	longestAnswer   = 64 << 10
)

// An Event is what is told.
type Event struct {
	Reason  string // of a closed set, for machines
	Action  string // what was done: Backup, …
	Warning bool   // rather than Normal
	Note    string // for people; what is too long of it is cut off
	Time    time.Time
}

// object is an Event of events.k8s.io/v1, which Kubernetes wants new programs to use; `kubectl describe` shows it like those of core/v1, which are the same objects.
type object struct {
	APIVersion          string            `json:"apiVersion"`
	Kind                string            `json:"kind"`
	Metadata            map[string]string `json:"metadata"`
	EventTime           string            `json:"eventTime"`
	ReportingController string            `json:"reportingController"`
	ReportingInstance   string            `json:"reportingInstance"`
	Action              string            `json:"action"`
	Reason              string            `json:"reason"`
	Regarding           reference         `json:"regarding"`
	Related             *reference        `json:"related,omitempty"`
	Note                string            `json:"note"`
	Type                string            `json:"type"`
}

// DeniedError is an answer other than success: what the API server said, in its own words.
type DeniedError struct {
	Code    int
	Message string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("the API server answers %d: %s", e.Code, e.Message)
}

// Hint says what to do about it.
func (e *DeniedError) Hint() string {
	if e.Code == http.StatusForbidden {
		return "a Role with verb create on resource events of group events.k8s.io, bound to the pod's service account, allows it"
	}
	return ""
}

// Make makes an Event about the Job that this pod is of, or else about the pod. The token is read anew each time, because Kubernetes renews it.
func (p *Pod) Make(ctx context.Context, e Event) error {
	text, err := json.Marshal(p.object(e))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(p.account, "token"))
	if err != nil {
		return err
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.server+"/apis/events.k8s.io/v1/namespaces/"+p.namespace+"/events", bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "lifeboat")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, longestAnswer))
	if answer.StatusCode == http.StatusCreated {
		return nil // whatever became of the rest of the answer
	}
	var status struct{ Message string }
	if err != nil || json.Unmarshal(said, &status) != nil || status.Message == "" {
		status.Message = answer.Status
	}
	return &DeniedError{answer.StatusCode, status.Message}
}

func (p *Pod) object(e Event) object {
	o := object{
		APIVersion: "events.k8s.io/v1", Kind: "Event",
		EventTime:           e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		ReportingController: "lifeboat", ReportingInstance: cut(p.pod.Name, longestInstance, ""),
		Action: e.Action, Reason: e.Reason, Regarding: p.pod, Note: cut(e.Note, longestNote, "…"), Type: "Normal",
	}
	if p.job.Name != "" {
		o.Regarding, o.Related = p.job, &p.pod
	}
	o.Metadata = map[string]string{"generateName": cut(o.Regarding.Name, longestPrefix, "") + "-", "namespace": p.namespace}
	if e.Warning {
		o.Type = "Warning"
	}
	return o
}

// cut shortens text to so many bytes, between characters, and ends it with the mark then.
func cut(text string, most int, mark string) string {
	if len(text) <= most {
		return text
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
