package s3_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lifeboat-dr/lifeboat/sinks"
	"github.com/lifeboat-dr/lifeboat/sinks/s3"
)

func testLostAnswer(t *testing.T, p place, request string) {
	body := content(7, part+part/2)
	if request == "PutObject" {
		body = content(7, part/2)
	}
	for name, always := range map[string]bool{"once": false, "always": true} {
		if always && request == "CreateMultipartUpload" {
			continue // without an upload there is nothing to find out
		}
		var seen calls
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if name, nth := seen.add(req); name == request && (always || nth == 1) {
				return lose(req, send)
			}
			return send(req)
		}, func(o *s3.Options) { o.Patience = time.Second })
		if err := put(t.Context(), s, name, body); err != nil {
			t.Errorf("answer lost %s: put says: %v", name, err)
		}
		p.holds(t, name, body)
		p.noUnfinished(t, name)
		if err := put(t.Context(), p.sink(t, nil), name, body); !errors.Is(err, fs.ErrExist) {
			t.Errorf("the put after it says: %v", err)
		}
	}
}

func testCancelledUpload(t *testing.T, p place) {
	for _, request := range []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
		ctx, cancel := context.WithCancel(t.Context())
		var when atomic.Value
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if callName(req) == request {
				when.Store(time.Now())
				cancel()
				return hang(req)
			}
			return send(req)
		}, nil)
		size := part + 1
		if request == "PutObject" {
			size = part
		}
		err := put(ctx, s, request, content(10, size))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: put says: %v", request, err)
		}
		if took := time.Since(when.Load().(time.Time)); took > 3*time.Second {
			t.Errorf("%s: it took %v to give up", request, took)
		}
		p.leavesNothing(t, request)
		cancel()
	}
}

func testHangingStore(t *testing.T, p place) {
	mustPut(t, p.sink(t, nil), "x", nil)
	for _, request := range []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "GetObject", "ListObjects", "DeleteObject"} {
		s := p.disturbed(t, func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			if callName(req) == request {
				return hang(req)
			}
			return send(req)
		}, func(o *s3.Options) { o.Stall = 200 * time.Millisecond })
		var err error
		began := time.Now()
		switch request {
		case "GetObject":
			_, err = read(t.Context(), s, "x", 0)
		case "ListObjects":
			for _, err = range s.List(t.Context(), "") {
			}
		case "DeleteObject":
			err = s.Delete(t.Context(), "x")
		case "PutObject":
			err = put(t.Context(), s, request, content(11, 1000))
		default:
			err = put(t.Context(), s, request, content(11, part+1))
		}
		if !errors.Is(err, sinks.ErrStalled) {
			t.Errorf("%s: %v", request, err)
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("%s: it took %v to notice", request, took)
		}
		p.leavesNothing(t, request)
	}
}
