package httpapi_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"herald/internal/httpapi"
)

// logBuffer keeps what a server logs, of every level.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// capture makes a server log into the buffer.
func (b *logBuffer) capture(d *httpapi.Deps) {
	d.Log = slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// What is nobody's business stays out of the log: tokens, names, addresses.
func TestTheLogHasRoutesAndNoSecrets(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	s := setup(t, log.capture)
	token, id := s.token(t, "demo"), uuid.NewString()
	s.do(t, http.MethodGet, "/api/jobs/"+id+"?secret=1", token, "", "X-Request-ID: my-id")
	s.do(t, http.MethodGet, "/api/jobs", "", "", "Cookie: herald_session="+token, "X-Request-ID: two\tparts")
	lines := log.String()
	for _, want := range []string{"method=GET route=/api/jobs/{id} status=404", "request_id=my-id", "route=/api/jobs status=200"} {
		if !strings.Contains(lines, want) {
			t.Errorf("the log has no %q:\n%s", want, lines)
		}
	}
	for _, secret := range []string{token, id, "secret", "two"} {
		if strings.Contains(lines, secret) {
			t.Errorf("the log has %q:\n%s", secret, lines)
		}
	}
}

// Half an answer must not look like a whole one.
func TestAPanicInTheMiddleCutsTheConnection(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	s := setup(t, log.capture, func(d *httpapi.Deps) {
		d.App = panicking{fstest.MapFS{"assets/a.js": {Data: make([]byte, 1<<20)}}}
	})
	res, err := http.Get(s.URL + "/assets/a.js")
	if err == nil {
		_, err = bytes.NewBuffer(nil).ReadFrom(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("the answer looks whole")
	}
	if lines := log.String(); !strings.Contains(lines, "panic: the disk") {
		t.Errorf("the log does not tell of the panic:\n%s", lines)
	}
}

// panicking has files that panic when they are read on.
type panicking struct{ fs.FS }

func (p panicking) Open(name string) (fs.File, error) {
	f, err := p.FS.Open(name)
	return &panickingFile{File: f}, err
}

type panickingFile struct {
	fs.File
	reads int
}

func (f *panickingFile) Read(b []byte) (int, error) {
	if f.reads++; f.reads > 3 {
		panic("the disk")
	}
	return f.File.Read(b)
}

func (f *panickingFile) Seek(offset int64, whence int) (int64, error) {
	return f.File.(interface {
		Seek(offset int64, whence int) (int64, error)
	}).Seek(offset, whence)
}
