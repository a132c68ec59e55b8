package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"herald/internal/artifact"
	"herald/internal/httpapi"
)

const tus = "Tus-Resumable: 1.0.0"

// metadata is an Upload-Metadata of the pairs.
func metadata(pairs ...string) string {
	var texts []string
	for i := 0; i < len(pairs); i += 2 {
		texts = append(texts, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return "Upload-Metadata: " + strings.Join(texts, ",")
}

// beginUpload begins an upload of demo's and returns its path.
func (s *server) beginUpload(t *testing.T, size int, pairs ...string) string {
	t.Helper()
	a := s.do(t, http.MethodPost, "/api/uploads", s.token(t, "demo"), "", tus, fmt.Sprint("Upload-Length: ", size), metadata(pairs...))
	if a.status != http.StatusCreated || a.header.Get("Upload-Offset") != "0" || a.header.Get("Upload-Expires") == "" {
		t.Fatalf("begin an upload: %d %v %s", a.status, a.header, a.body)
	}
	return a.header.Get("Location")
}

// append sends a piece.
func (s *server) append(t *testing.T, path string, offset int, piece string) answer {
	t.Helper()
	return s.do(t, http.MethodPatch, path, s.token(t, "demo"), piece,
		tus, "Content-Type: application/offset+octet-stream", fmt.Sprint("Upload-Offset: ", offset))
}

// offset is how far the upload is.
func (s *server) offset(t *testing.T, path string) string {
	t.Helper()
	return s.do(t, http.MethodHead, path, s.token(t, "demo"), "", tus).header.Get("Upload-Offset")
}

// whole is what the upload has become.
func (s *server) whole(t *testing.T, path string) artifact.View {
	t.Helper()
	var v struct{ Artifact *artifact.View }
	a := s.do(t, http.MethodGet, path, s.token(t, "demo"), "")
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || v.Artifact == nil {
		t.Fatalf("GET %s = %d %s, want an artifact", path, a.status, a.body)
	}
	return *v.Artifact
}

func TestAnUploadInPiecesIsOneFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		on   func(*testing.T) func(*httpapi.Deps)
	}{{"in memory", func(*testing.T) func(*httpapi.Deps) { return func(*httpapi.Deps) {} }}, {"on S3", onS3}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, tt.on(t))
			large := strings.Repeat("0123456789abcdef", 17<<20/16) // one request, two parts
			content := "ab" + large + "the end"
			sum := sha256.Sum256([]byte(content))
			digest := hex.EncodeToString(sum[:])
			path := s.beginUpload(t, len(content), "filename", "Ü.mov", "filetype", "video/quicktime", "sha256", strings.ToUpper(digest))
			at := 0
			for _, piece := range []string{"ab", large, "the ", "", "end"} {
				if a := s.append(t, path, at, piece); a.status != http.StatusNoContent {
					t.Fatalf("append at %d = %d %s", at, a.status, a.body)
				}
				at += len(piece)
				if got := s.offset(t, path); got != fmt.Sprint(at) {
					t.Fatalf("the offset is %s, want %d", got, at)
				}
			}
			v := s.whole(t, path)
			if v.SHA256 != digest || v.Size != int64(len(content)) || v.Name != "Ü.mov" || v.ContentType != "video/quicktime" || v.Kind != artifact.Upload {
				t.Errorf("it has become %+v, want %d bytes with the sum %s", v, len(content), digest)
			}
			demo := s.token(t, "demo")
			if a := s.do(t, http.MethodGet, v.URL, demo, ""); a.body != content || a.status != http.StatusOK {
				t.Errorf("GET = %d with %d bytes, want all %d", a.status, len(a.body), len(content))
			}
			for ranged, want := range map[string]string{"bytes=0-3": "ab01", "bytes=-9": "efthe end", "bytes=16777216-16777221": content[16777216:16777222]} {
				if a := s.do(t, http.MethodGet, v.URL, demo, "", "Range: "+ranged); a.body != want || a.status != http.StatusPartialContent {
					t.Errorf("%s = %d %.40q, want %q", ranged, a.status, a.body, want)
				}
			}
			if a := s.do(t, http.MethodPost, "/api/artifacts/"+v.ID.String()+"/links", demo, `{}`); a.status != http.StatusCreated {
				t.Errorf("a link to it = %d %s, want one as to any file", a.status, a.body)
			}
		})
	}
}

func TestAnUploadOfNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	v := s.whole(t, s.beginUpload(t, 0, "filename", "empty.txt"))
	if a := s.do(t, http.MethodGet, v.URL, s.token(t, "demo"), ""); a.status != http.StatusOK || a.body != "" || v.SHA256[:8] != "e3b0c442" {
		t.Errorf("GET = %d %q of %+v, want nothing", a.status, a.body, v)
	}
}

// What does not fit is refused with what is right, and changes nothing.
func TestPiecesThatDoNotFit(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.MaxUpload = 1000 })
	demo, alice := s.token(t, "demo"), s.token(t, "alice")
	path := s.beginUpload(t, 10)
	s.append(t, path, 0, "0123")
	piece := []string{tus, "Content-Type: application/offset+octet-stream", "Upload-Offset: 4"}
	for _, tt := range []struct {
		name, method, path, token, body string
		headers                         []string
		status                          int
		problem                         string
	}{
		{"an offset before", http.MethodPatch, path, demo, "x", []string{tus, piece[1], "Upload-Offset: 3"}, 409, "wrong-offset"},
		{"an offset beyond", http.MethodPatch, path, demo, "x", []string{tus, piece[1], "Upload-Offset: 5"}, 409, "wrong-offset"},
		{"no offset", http.MethodPatch, path, demo, "x", []string{tus, piece[1]}, 400, "bad-upload"},
		{"a sign", http.MethodPatch, path, demo, "x", []string{tus, piece[1], "Upload-Offset: +4"}, 400, "bad-upload"},
		{"another type", http.MethodPatch, path, demo, "x", []string{tus, "Content-Type: text/plain", piece[2]}, 415, "not-a-piece"},
		{"another version", http.MethodPatch, path, demo, "x", []string{"Tus-Resumable: 0.2.2", piece[1], piece[2]}, 412, "tus-version"},
		{"more than promised", http.MethodPatch, path, demo, "4567890", piece, 400, "more-than-promised"},
		{"another's", http.MethodPatch, path, alice, "456789", piece, 404, "not-found"},
		{"another's, looked at", http.MethodGet, path, alice, "", nil, 404, "not-found"},
		{"another's, ended", http.MethodDelete, path, alice, "", []string{tus}, 404, "not-found"},
		{"nobody's", http.MethodPatch, "/api/uploads/" + uuid.NewString(), demo, "x", piece, 404, "not-found"},
		{"no id", http.MethodPatch, "/api/uploads/x", demo, "x", piece, 404, "not-found"},
		{"too large", http.MethodPost, "/api/uploads", demo, "", []string{tus, "Upload-Length: 1001"}, 413, "too-large"},
		{"no length", http.MethodPost, "/api/uploads", demo, "", []string{tus}, 400, "bad-upload"},
		{"half a number", http.MethodPost, "/api/uploads", demo, "", []string{tus, "Upload-Length: 5x"}, 400, "bad-upload"},
		{"bad metadata", http.MethodPost, "/api/uploads", demo, "", []string{tus, "Upload-Length: 5", "Upload-Metadata: filename ???"}, 400, "bad-upload"},
		{"a bad digest", http.MethodPost, "/api/uploads", demo, "", []string{tus, "Upload-Length: 5", metadata("sha256", "abc")}, 400, "bad-upload"},
	} {
		a := s.do(t, tt.method, tt.path, tt.token, tt.body, tt.headers...)
		if a.status != tt.status || a.problem() != tt.problem {
			t.Errorf("%s = %d %s, want %d %s", tt.name, a.status, a.body, tt.status, tt.problem)
		}
		if tt.problem == "wrong-offset" && a.header.Get("Upload-Offset") != "4" {
			t.Errorf("%s tells %q, want 4", tt.name, a.header.Get("Upload-Offset"))
		}
	}
	// Without a length, it is only known in the end.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.URL+path, io.MultiReader(strings.NewReader("456"), strings.NewReader("7890")))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range append(piece, "Authorization: Bearer "+demo) {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("more than promised, without a length = %d, want 400", res.StatusCode)
	}
	if a := s.append(t, path, 4, "456789"); a.status != http.StatusNoContent || s.whole(t, path).Size != 10 {
		t.Errorf("what fits after all = %d %s", a.status, a.body)
	}
}

func TestAnUploadWithAnotherDigestIsDropped(t *testing.T) {
	t.Parallel()
	s := setup(t)
	path := s.beginUpload(t, 4, "sha256", strings.Repeat("ab", 32))
	s.append(t, path, 0, "01")
	if a := s.append(t, path, 2, "23"); a.status != http.StatusUnprocessableEntity || a.problem() != "checksum-mismatch" {
		t.Errorf("the last piece = %d %s, want 422", a.status, a.body)
	}
	if a := s.append(t, path, 2, "23"); a.status != http.StatusNotFound || s.keys(t) != nil {
		t.Errorf("afterwards = %d, and there is %v, want nothing", a.status, s.keys(t))
	}
}

func TestAnUploadIsEnded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	path := s.beginUpload(t, 4)
	s.append(t, path, 0, "01")
	if a := s.do(t, http.MethodDelete, path, s.token(t, "demo"), "", tus); a.status != http.StatusNoContent || s.keys(t) != nil {
		t.Errorf("DELETE = %d %s, and there is %v", a.status, a.body, s.keys(t))
	}
	path = s.beginUpload(t, 2)
	s.append(t, path, 0, "01")
	if a := s.do(t, http.MethodDelete, path, s.token(t, "demo"), "", tus); a.status != http.StatusNotFound || len(s.keys(t)) != 1 {
		t.Errorf("DELETE of one that is finished = %d, want 404 and its file kept", a.status)
	}
}

// hang begins a piece that does not end.
func (s *server) hang(t *testing.T, path string, offset int, first string) (body *io.PipeWriter, status chan int) {
	t.Helper()
	read, write := io.Pipe()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPatch, s.URL+path, read)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + s.token(t, "demo"), "Tus-Resumable": "1.0.0",
		"Content-Type": "application/offset+octet-stream", "Upload-Offset": fmt.Sprint(offset),
	} {
		r.Header.Set(name, value)
	}
	status = make(chan int, 1)
	go func() {
		defer close(status)
		if res, err := http.DefaultClient.Do(r); err == nil {
			status <- res.StatusCode
			_ = res.Body.Close()
		}
	}()
	_, _ = write.Write([]byte(first))
	return write, status
}

func TestWhatCameBeforeACutIsKept(t *testing.T) {
	t.Parallel()
	s := setup(t)
	path := s.beginUpload(t, 10)
	body, status := s.hang(t, path, 0, "0123")
	body.CloseWithError(io.ErrUnexpectedEOF)
	<-status
	for s.offset(t, path) != "4" {
		if t.Context().Err() != nil {
			t.Fatal("the 4 bytes that came are not there")
		}
	}
	if a := s.append(t, path, 4, "456789"); a.status != http.StatusNoContent {
		t.Errorf("the rest = %d %s", a.status, a.body)
	}
	if a := s.do(t, http.MethodGet, s.whole(t, path).URL, s.token(t, "demo"), ""); a.body != "0123456789" {
		t.Errorf("it is %q", a.body)
	}
}

// claimed tells when somebody claims an upload.
type claimed struct {
	httpapi.Uploads
	by chan int64
}

func (c claimed) ClaimUpload(ctx context.Context, id, writer uuid.UUID, start int64) (artifact.Incoming, error) {
	i, err := c.Uploads.ClaimUpload(ctx, id, writer, start)
	c.by <- start
	return i, err
}

// Who comes back while the old connection still hangs goes on; the old one adds
// nothing any more.
func TestTheNewestConnectionGoesOn(t *testing.T) {
	t.Parallel()
	by := make(chan int64, 9)
	s := setup(t, func(d *httpapi.Deps) { d.Uploads = claimed{d.Uploads, by} })
	path := s.beginUpload(t, 10)
	body, status := s.hang(t, path, 0, "wrong")
	<-by
	if a := s.append(t, path, 0, "012345"); a.status != http.StatusNoContent {
		t.Fatalf("the newer one = %d %s", a.status, a.body)
	}
	_ = body.Close()
	if got := <-status; got != http.StatusConflict {
		t.Errorf("the older one = %d, want 409", got)
	}
	s.append(t, path, 6, "6789")
	if a := s.do(t, http.MethodGet, s.whole(t, path).URL, s.token(t, "demo"), ""); a.body != "0123456789" || len(s.keys(t)) != 2 {
		t.Errorf("it is %q, in %v, want two parts", a.body, s.keys(t))
	}
}

func TestUploadsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) {
		d.MaxUpload, d.Incoming = 1000, artifact.IncomingLimits{Uploads: 3, Bytes: 100}
	})
	begin := func(user string, size int) answer {
		return s.do(t, http.MethodPost, "/api/uploads", s.token(t, user), "", tus, fmt.Sprint("Upload-Length: ", size))
	}
	s.beginUpload(t, 60)
	if a := begin("demo", 60); a.status != http.StatusTooManyRequests || a.problem() != "too-many-uploads" {
		t.Errorf("more bytes than one may have under way = %d %s", a.status, a.body)
	}
	path := s.beginUpload(t, 20)
	s.beginUpload(t, 20)
	if a := begin("demo", 0); a.status != http.StatusTooManyRequests {
		t.Errorf("a fourth = %d", a.status)
	}
	if a := begin("alice", 900); a.status != http.StatusCreated {
		t.Errorf("another's first, however large = %d %s", a.status, a.body)
	}
	a := s.do(t, http.MethodGet, "/api/uploads", s.token(t, "demo"), "")
	if n := strings.Count(a.body, `"expires_at"`); n != 3 || !strings.Contains(a.body, strings.TrimPrefix(path, "/api/uploads/")) {
		t.Errorf("the list has %d: %s, want 3", n, a.body)
	}
	s.append(t, path, 0, strings.Repeat("x", 20))
	s.beginUpload(t, 20)
}

func TestAnUploadExpires(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var id uuid.UUID
	ms := time.Now().Add(-artifact.UploadTime - time.Second).UnixMilli()
	copy(id[:], []byte{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms), 0x70, 0, 0x80})
	i := artifact.Incoming{ID: id, Owner: "demo", Size: 5, Digest: []byte{}}
	if err := s.db.BeginUpload(t.Context(), i, artifact.IncomingLimits{Uploads: 1}, i.Whole("")); err != nil {
		t.Fatal(err)
	}
	if a := s.append(t, "/api/uploads/"+id.String(), 0, "01234"); a.status != http.StatusNotFound {
		t.Errorf("append = %d %s, want 404", a.status, a.body)
	}
	s.beginUpload(t, 5)
}

func TestUploadsAreDescribed(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) { d.MaxUpload = 1000 })
	a := s.do(t, http.MethodOptions, "/api/uploads", s.token(t, "demo"), "")
	if a.status != http.StatusNoContent || a.header.Get("Tus-Version") != "1.0.0" || a.header.Get("Tus-Max-Size") != "1000" {
		t.Errorf("OPTIONS = %d %v", a.status, a.header)
	}
}

// Whatever stands in the headers, what is taken of it is within bounds.
func FuzzUploadHead(f *testing.F) {
	f.Add("5", "filename Yi5tb3Y=,sha256 YQ==")
	f.Add("", "x")
	f.Add("99999999999999999999", " , ")
	f.Fuzz(func(t *testing.T, length, metadata string) {
		head, err := httpapi.ParseUploadHead(http.Header{"Upload-Length": {length}, "Upload-Metadata": {metadata}})
		switch {
		case err != nil:
		case head.Size < 0, len(head.Name) > 200, head.Name == "", bytes.ContainsAny([]byte(head.Name), "/\\\x00\n"):
			t.Errorf("%q, %q: %+v", length, metadata, head)
		case head.SHA256 != "" && (len(head.SHA256) != 64 || head.SHA256 != strings.ToLower(head.SHA256)):
			t.Errorf("the digest is %q", head.SHA256)
		}
	})
}
