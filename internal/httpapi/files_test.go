package httpapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"gocloud.dev/blob"

	"herald/internal/artifact"
	"herald/internal/httpapi"
	"herald/internal/s3test"
)

// upload sends a file and returns what the server says of it.
func (s *server) upload(t *testing.T, name, content string) artifact.View {
	t.Helper()
	a := s.do(t, http.MethodPost, "/api/uploads?name="+name, s.token(t, "demo"), content, "Content-Type: video/mp4; x=y")
	if a.status != http.StatusCreated {
		t.Fatalf("upload: %d %s", a.status, a.body)
	}
	var v artifact.View
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// keys lists what is in the blob store.
func (s *server) keys(t *testing.T) []string {
	t.Helper()
	var keys []string
	list := s.blobs.List(&blob.ListOptions{})
	for {
		object, err := list.Next(t.Context())
		if err == io.EOF { //nolint:errorlint // the iterator's word for its end
			return keys
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, object.Key)
	}
}

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const content = "0123456789"
	sum := sha256.Sum256([]byte(content))
	v := s.upload(t, "My%20clip.mp4", content)
	if v.Size != 10 || v.SHA256 != hex.EncodeToString(sum[:]) || v.Name != "My clip.mp4" || v.ContentType != "video/mp4" {
		t.Errorf("uploaded %+v, want ten bytes of My clip.mp4", v)
	}
	demo := s.token(t, "demo")
	for _, tt := range []struct {
		name    string
		headers []string
		status  int
		body    string
	}{
		{"whole", nil, 200, content},
		{"a range", []string{"Range: bytes=2-4"}, 206, "234"},
		{"the end", []string{"Range: bytes=-3"}, 206, "789"},
		{"beyond", []string{"Range: bytes=20-"}, 416, ""},
		{"unchanged", []string{`If-None-Match: "` + v.ID.String() + `"`}, 304, ""},
	} {
		a := s.do(t, http.MethodGet, v.URL, demo, "", tt.headers...)
		if a.status != tt.status || tt.body != "" && a.body != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.name, a.status, a.body, tt.status, tt.body)
		}
	}
	a := s.do(t, http.MethodGet, v.URL, demo, "")
	for name, want := range map[string]string{
		"Content-Disposition": `attachment; filename="My clip.mp4"`, "X-Content-Type-Options": "nosniff", "Content-Type": "video/mp4",
		"Content-Security-Policy": "default-src 'none'; media-src 'self'; sandbox", "Cache-Control": "private, max-age=31536000, immutable",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a := s.do(t, http.MethodHead, v.URL, demo, ""); a.status != 200 || a.header.Get("Content-Length") != "10" {
		t.Errorf("HEAD = %d %v, want 10 bytes", a.status, a.header)
	}
	if a := s.do(t, http.MethodGet, "/api/artifacts/"+v.ID.String(), demo, ""); a.status != 302 || a.header.Get("Location") != v.URL {
		t.Errorf("GET by id = %d to %q, want to be led to %q", a.status, a.header.Get("Location"), v.URL)
	}
	if a := s.do(t, http.MethodGet, v.URL, s.token(t, "alice"), ""); a.status != 404 {
		t.Errorf("another's file = %d, want 404", a.status)
	}
}

func TestUploadTooLargeLeavesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.MaxUpload = 100 })
	demo := s.token(t, "demo")
	if a := s.do(t, http.MethodPost, "/api/uploads?name=x", demo, strings.Repeat("x", 101)); a.status != 413 || a.problem() != "too-large" {
		t.Errorf("101 bytes that say so = %d %s, want 413", a.status, a.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/uploads?name=x", io.MultiReader(strings.NewReader(strings.Repeat("x", 60)), strings.NewReader(strings.Repeat("x", 60))))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+demo)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("120 bytes that do not say so = %d, want 413", res.StatusCode)
	}
	if keys := s.keys(t); keys != nil {
		t.Errorf("left behind: %v", keys)
	}
	if v := s.upload(t, "x", strings.Repeat("x", 100)); v.Size != 100 {
		t.Errorf("100 bytes are taken as %d", v.Size)
	}
}

func TestUploadCutOffLeavesNothing(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	ended := make(chan struct{})
	s := setup(t, log.capture)
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r)
		close(ended)
	})
	read, write := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/uploads?name=x", read)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token(t, "demo"))
	go func() {
		_, _ = write.Write([]byte("half of"))
		write.CloseWithError(io.ErrUnexpectedEOF)
	}()
	if res, err := http.DefaultClient.Do(r); err == nil {
		_ = res.Body.Close()
	}
	<-ended
	if keys := s.keys(t); keys != nil {
		t.Errorf("left behind: %v", keys)
	}
	if lines := log.String(); strings.Contains(lines, "level=ERROR") || !strings.Contains(lines, "status=400") {
		t.Errorf("the log says\n%s\nwant no error, since it is the client's", lines)
	}
}

func TestUploadThatCannotBeEnteredLeavesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.Artifacts = fullDisk{d.Artifacts} })
	a := s.do(t, http.MethodPost, "/api/uploads?name=x", s.token(t, "demo"), "content")
	if a.status != http.StatusInsufficientStorage || a.problem() != "disk-full" || strings.Contains(a.body, "secret") {
		t.Errorf("on a full disk = %d %s, want 507 without the path", a.status, a.body)
	}
	if keys := s.keys(t); keys != nil {
		t.Errorf("left behind: %v", keys)
	}
}

// fullDisk cannot save anything.
type fullDisk struct{ httpapi.Artifacts }

func (fullDisk) SaveArtifact(context.Context, artifact.Artifact) error {
	return &fs.PathError{Op: "write", Path: "/secret", Err: syscall.ENOSPC}
}

func TestUploadNames(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for given, want := range map[string]string{
		"clip.mp4": "clip.mp4", "": "upload", "..": "upload", "%2e%2e%2fetc%2fpasswd": "passwd", `C%3A%5Cclips%5Ca.mp4`: "a.mp4",
		"a%0d%0aX%3A%20b": "aX: b", "%ff%fe": "upload", "gr%C3%BC%C3%9Fe.mov": "grüße.mov", strings.Repeat("x", 300): strings.Repeat("x", 200),
	} {
		if v := s.upload(t, given, "x"); v.Name != want {
			t.Errorf("the name %q is taken as %q, want %q", given, v.Name, want)
		}
	}
}

func TestFolderServesItsFilesAlone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	folder := artifact.Artifact{
		ID: uuid.New(), Owner: "demo", Kind: artifact.HLS, Name: "index.m3u8", ContentType: "application/vnd.apple.mpegurl",
		BlobKey: "jobs/1/1/hls/", CreatedAt: time.Now(),
	}
	if err := s.db.SaveArtifact(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	for key, content := range map[string]string{"jobs/1/1/hls/index.m3u8": "#EXTM3U", "jobs/1/1/hls/s0.ts": "ts", "jobs/1/1/secret": "secret", "jobs/1/secret": "secret"} {
		if err := s.blobs.WriteAll(t.Context(), key, []byte(content), nil); err != nil {
			t.Fatal(err)
		}
	}
	base := "/api/artifacts/" + folder.ID.String() + "/"
	for path, want := range map[string]int{
		"index.m3u8": 200, "s0.ts": 200, "none.ts": 404, "index.m3u8.attrs": 404, "s0.txt": 404, strings.Repeat("x", 300) + ".ts": 404, "..%2fsecret": 404, "%2e%2e/secret": 404, "x/..%2f..%2fsecret": 404, "": 404, "%2fjobs": 404,
	} {
		a := s.do(t, http.MethodGet, base+path, s.token(t, "demo"), "")
		if a.status != want || strings.Contains(a.body, "secret\"") {
			t.Errorf("GET %s = %d %q, want %d", path, a.status, a.body, want)
		}
	}
	if a := s.do(t, http.MethodGet, base+"s0.ts", s.token(t, "demo"), ""); a.header.Get("Content-Type") != "video/mp2t" {
		t.Errorf("a segment is %q, want video/mp2t", a.header.Get("Content-Type"))
	}
}

func TestDeletingAJobRemovesItsFiles(t *testing.T) {
	t.Parallel()
	s := setup(t)
	j := s.startJob(t, "demo")
	a := artifact.Artifact{ID: uuid.New(), JobID: j.ID, Owner: "demo", Kind: artifact.HLS, Name: "index.m3u8", BlobKey: artifact.JobPrefix(j.ID) + "2/hls/", CreatedAt: time.Now()}
	if err := s.db.SaveArtifact(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{a.BlobKey + "index.m3u8", a.BlobKey + "s0.ts", artifact.JobPrefix(j.ID) + "1/lost.mp4", "jobs/3/kept"} {
		if err := s.blobs.WriteAll(t.Context(), key, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	demo := s.token(t, "demo")
	s.do(t, http.MethodPost, "/api/jobs/"+j.ID.String()+"/cancel", demo, "")
	if a := s.do(t, http.MethodDelete, "/api/jobs/"+j.ID.String(), demo, ""); a.status != http.StatusNoContent {
		t.Fatalf("DELETE = %d %s", a.status, a.body)
	}
	if keys := s.keys(t); len(keys) != 1 || keys[0] != "jobs/3/kept" {
		t.Errorf("left behind: %v, want another job's file alone", keys)
	}
}

// onS3 makes the server keep its files in a store of objects.
func onS3(t *testing.T) func(*httpapi.Deps) {
	t.Helper()
	return func(d *httpapi.Deps) { d.Blobs = s3test.Open(t) }
}

// A file is given as a whole, in parts, or not at all, from wherever it is kept.
func TestRanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		on   func(*testing.T) func(*httpapi.Deps)
	}{{"in memory", func(*testing.T) func(*httpapi.Deps) { return func(*httpapi.Deps) {} }}, {"on S3", onS3}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			testRanges(t, setup(t, tt.on(t)))
		})
	}
}

func testRanges(t *testing.T, s *server) {
	t.Helper()
	part := strings.Repeat("0123456789abcdef", 5<<20/16) // as large as the parts that objects are written in
	v := s.upload(t, "clip.mp4", part+"the end")
	tag, demo := `"`+v.ID.String()+`"`, s.token(t, "demo")
	for _, tt := range []struct {
		name    string
		headers []string
		status  int
		body    string
	}{
		{"over two parts", []string{"Range: bytes=5242878-5242882"}, 206, "efthe"},
		{"the end", []string{"Range: bytes=-3"}, 206, "end"},
		{"the same file", []string{"Range: bytes=0-3", "If-Range: " + tag}, 206, "0123"},
		{"another file", []string{"Range: bytes=5242880-", `If-Range: "other"`}, 200, part + "the end"},
		{"beyond", []string{"Range: bytes=9999999-"}, 416, ""},
		{"too many", []string{"Range: bytes=0-0" + strings.Repeat(",2-2", 16)}, 200, part + "the end"},
	} {
		a := s.do(t, http.MethodGet, v.URL, demo, "", tt.headers...)
		if a.status != tt.status || tt.body != "" && a.body != tt.body || a.header.Get("Accept-Ranges") != "bytes" && a.status < 300 {
			t.Errorf("%s: %d with %d bytes, want %d with %d", tt.name, a.status, len(a.body), tt.status, len(tt.body))
		}
	}
	a := s.do(t, http.MethodGet, v.URL, demo, "", "Range: bytes=0-1,5242880-5242882")
	kind, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || a.status != http.StatusPartialContent || kind != "multipart/byteranges" {
		t.Fatalf("two ranges: %d %q, %v", a.status, a.header.Get("Content-Type"), err)
	}
	var got []string
	for parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"]); ; {
		p, err := parts.NextPart()
		if err != nil {
			break
		}
		content, _ := io.ReadAll(p)
		got = append(got, p.Header.Get("Content-Range")+" "+p.Header.Get("Content-Type")+" "+string(content))
	}
	if diff := cmp.Diff([]string{"bytes 0-1/5242887 video/mp4 01", "bytes 5242880-5242882/5242887 video/mp4 the"}, got); diff != "" {
		t.Errorf("two ranges: -want +got:\n%s", diff)
	}
	if a := s.do(t, http.MethodHead, v.URL, demo, ""); a.status != 200 || a.header.Get("Content-Length") != "5242887" || a.header.Get("Etag") != tag || a.body != "" {
		t.Errorf("HEAD = %d %v, want the size and the tag", a.status, a.header)
	}
}

// On S3 as elsewhere, nothing is left of what was cut off, or removed with its job.
func TestFilesOnS3(t *testing.T) {
	t.Parallel()
	blobs := s3test.Open(t)
	s := setup(t, func(d *httpapi.Deps) { d.Blobs, d.MaxUpload = blobs, 11<<20 })
	half := strings.Repeat("x", 6<<20)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/uploads?name=x", io.MultiReader(strings.NewReader(half), strings.NewReader(half)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token(t, "demo"))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("an upload that is too large = %d, want 413", res.StatusCode)
	}
	j := s.startJob(t, "demo")
	a := artifact.Artifact{ID: uuid.New(), JobID: j.ID, Owner: "demo", Kind: artifact.HLS, Name: "index.m3u8", ContentType: "application/vnd.apple.mpegurl", BlobKey: artifact.JobPrefix(j.ID) + "2/hls/", CreatedAt: time.Now()}
	if err := s.db.SaveArtifact(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.m3u8", "s0.ts"} {
		if err := blobs.WriteAll(t.Context(), a.BlobKey+name, []byte("content of "+name), nil); err != nil {
			t.Fatal(err)
		}
	}
	demo, base := s.token(t, "demo"), "/api/artifacts/"+a.ID.String()+"/"
	if got := s.do(t, http.MethodGet, base+"s0.ts", demo, "", "Range: bytes=11-"); got.status != 206 || got.body != "s0.ts" || got.header.Get("Content-Type") != "video/mp2t" {
		t.Errorf("a part of a segment = %d %q, %v", got.status, got.body, got.header)
	}
	if got := s.do(t, http.MethodGet, base+"none.ts", demo, ""); got.status != http.StatusNotFound {
		t.Errorf("a segment that is none = %d, want 404", got.status)
	}
	s.do(t, http.MethodPost, "/api/jobs/"+j.ID.String()+"/cancel", demo, "")
	if got := s.do(t, http.MethodDelete, "/api/jobs/"+j.ID.String(), demo, ""); got.status != http.StatusNoContent {
		t.Fatalf("DELETE = %d %s", got.status, got.body)
	}
	if page, _, err := blobs.ListPage(t.Context(), blob.FirstPageToken, 10, nil); err != nil || len(page) > 0 {
		t.Errorf("left behind: %v, %v", page, err)
	}
}

// A file that is no longer kept is gone, to those who might see it; to others it
// never was.
func TestExpiredFilesAreGone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	v := s.upload(t, "clip.mp4", "content")
	if _, err := s.db.Pool().Exec(t.Context(), `UPDATE herald.artifacts SET expired_at = now()`); err != nil {
		t.Fatal(err)
	}
	for _, ask := range []struct {
		method, path, token, body, problem string
		status                             int
	}{
		{http.MethodGet, v.URL, s.token(t, "demo"), "", "gone", http.StatusGone},
		{http.MethodPost, "/api/artifacts/" + v.ID.String() + "/links", s.token(t, "demo"), `{}`, "gone", http.StatusGone},
		{http.MethodGet, v.URL, s.token(t, "alice"), "", "not-found", http.StatusNotFound},
	} {
		if a := s.do(t, ask.method, ask.path, ask.token, ask.body); a.status != ask.status || a.problem() != ask.problem {
			t.Errorf("%s %s = %d %s, want %d %s", ask.method, ask.path, a.status, a.body, ask.status, ask.problem)
		}
	}
}

func TestFileNamesInHeaders(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"My clip.mp4":    `attachment; filename="My clip.mp4"`,
		"grüße €.mov":    `attachment; filename="gr__e _.mov"; filename*=UTF-8''gr%C3%BC%C3%9Fe%20%E2%82%AC.mov`,
		`a"b\c%41;x.mov`: `attachment; filename="a_b_c_41;x.mov"; filename*=UTF-8''a%22b%5Cc%2541%3Bx.mov`,
		"a+b~c.mov":      `attachment; filename="a+b~c.mov"`,
		"ü'()*+.mov":     `attachment; filename="_'()*+.mov"; filename*=UTF-8''%C3%BC%27%28%29%2A%2B.mov`,
	} {
		got := httpapi.Disposition(name)
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
