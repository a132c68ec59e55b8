package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"herald/internal/artifact"
	"herald/internal/auth"
)

// idleTransfer is how long an upload or a download may stand still.
const idleTransfer = time.Minute

// upload streams the body into the blob store. The artifact is entered when the
// last byte is there; of an upload that fails, nothing is left.
func (a *api) upload(w http.ResponseWriter, r *http.Request) {
	// The answer, which may be long in coming, is too small to wait for its reader.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	file, err := a.receive(w, r)
	if err != nil {
		w.Header().Set("Connection", "close") // what is left of the body is not worth reading
		a.problems.write(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, "application/json", file.View())
}

func (a *api) receive(w http.ResponseWriter, r *http.Request) (artifact.Artifact, error) {
	p := principalOf(r.Context())
	if !p.MayUpload() {
		return artifact.Artifact{}, fmt.Errorf("%w: upload", auth.ErrForbidden)
	}
	if r.ContentLength > a.MaxUpload {
		return artifact.Artifact{}, &http.MaxBytesError{Limit: a.MaxUpload}
	}
	id := uuid.Must(uuid.NewV7())
	file := artifact.Artifact{
		ID: id, Owner: p.User, Kind: artifact.Upload, Name: fileName(r.URL.Query().Get("name")),
		ContentType: contentType(r.Header.Get("Content-Type")), BlobKey: artifact.UploadKey(id), CreatedAt: artifact.Began(id),
	}
	body := &uploadReader{
		body: http.MaxBytesReader(w, r.Body, a.MaxUpload), control: http.NewResponseController(w),
	}
	sum := sha256.New()
	var err error
	if file.Size, err = a.store(r.Context(), file.BlobKey, io.TeeReader(body, sum)); err != nil {
		return file, fmt.Errorf("store the upload: %w", err)
	}
	file.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err := a.Artifacts.SaveArtifact(r.Context(), file); err != nil {
		return file, errors.Join(err, a.removeBlobs(r.Context(), file.BlobKey))
	}
	return file, nil
}

// store writes all that r gives under the key, or nothing.
func (a *api) store(ctx context.Context, key string, r io.Reader) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := a.Blobs.NewWriter(ctx, key, &blob.WriterOptions{BufferSize: partSize(a.MaxUpload), ContentType: "application/octet-stream"})
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, r)
	if err != nil {
		cancel() // makes Close drop what was written
		_ = out.Close()
		return 0, err
	}
	return n, out.Close()
}

// partSize is how large the parts are that a store of objects takes a blob of at
// most that many bytes in: it takes no more than 10,000. A store of files takes
// it as a whole.
func partSize(most int64) int {
	const least, parts = 5 << 20, 10_000
	return int(max(least, most/parts+1))
}

// uploadReader moves the deadline with each read, so that a long upload goes on
// as long as it moves.
type uploadReader struct {
	body    io.Reader
	control *http.ResponseController
}

func (u *uploadReader) Read(b []byte) (int, error) {
	if err := u.move(time.Now().Add(idleTransfer)); err != nil {
		return 0, err
	}
	n, err := u.body.Read(b)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil, errors.As(err, &tooLarge):
		return n, err
	case errors.Is(err, io.EOF):
		// What is left to do takes its time, and must not look as if the client were gone.
		if err := u.move(time.Time{}); err != nil {
			return n, err
		}
		return n, io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errTooSlow
	default:
		return n, fmt.Errorf("%w: %w", errCutOff, err)
	}
}

func (u *uploadReader) move(deadline time.Time) error {
	if err := u.control.SetReadDeadline(deadline); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// downloadWriter does the same for what is sent.
type downloadWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func newDownloadWriter(w http.ResponseWriter) *downloadWriter {
	return &downloadWriter{w, http.NewResponseController(w)}
}

func (d *downloadWriter) Write(b []byte) (int, error) {
	if err := d.control.SetWriteDeadline(time.Now().Add(idleTransfer)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return d.ResponseWriter.Write(b) //nolint:gosec // a file is served with a policy by which nothing in it runs
}

// fileName is the last part of the name that a client gives, without what has
// no place in one.
func fileName(name string) string {
	const longest = 200
	name = strings.ToValidUTF8(name, "")
	if at := strings.LastIndexAny(name, `/\`); at >= 0 {
		name = name[at+1:]
	}
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name))
	for len(name) > longest {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if strings.Trim(name, ".") == "" {
		return "upload"
	}
	return name
}

// contentType is what the client says its file is, if that is a media type.
func contentType(header string) string {
	kind, _, err := mime.ParseMediaType(header)
	if err != nil || !strings.Contains(kind, "/") {
		return "application/octet-stream"
	}
	return kind
}

// findArtifact returns the artifact of the route, if the principal may see it.
func (a *api) findArtifact(r *http.Request) (artifact.Artifact, error) {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		return artifact.Artifact{}, artifact.ErrNotFound
	}
	file, err := a.Artifacts.Artifact(r.Context(), id)
	switch {
	case err != nil:
		return file, err
	case !hasLink(r.Context()) && !mayFetch(principalOf(r.Context()), file):
		return artifact.Artifact{}, artifact.ErrNotFound
	case !file.ExpiredAt.IsZero():
		return artifact.Artifact{}, artifact.ErrExpired
	case hasLink(r.Context()):
		return file, nil
	}
	return file, a.noteOnce(r.Context(), file.Owner, "file:"+id.String())
}

// mayFetch reports whether the principal may have the file. A guest, who came by an
// address that is good for it, may if the shared job made it.
func mayFetch(p auth.Principal, file artifact.Artifact) bool {
	if p.IsGuest() {
		return p.Share.Files && file.JobID == p.Share.Job
	}
	return p.MaySee(file.Owner)
}

// redirectArtifact leads from an artifact's id to its file.
func (a *api) redirectArtifact(w http.ResponseWriter, r *http.Request) {
	file, err := a.findArtifact(r)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	to := file.URL()
	if r.URL.RawQuery != "" { // a link's signature
		to += "?" + r.URL.RawQuery
	}
	http.Redirect(w, r, to, http.StatusFound) //nolint:gosec // a path of ours, whatever the file is called
}

// download serves a file, or the part of it that is asked for.
func (a *api) download(w http.ResponseWriter, r *http.Request) {
	if err := a.sendFile(w, r); err != nil {
		a.problems.write(w, r, err)
	}
}

func (a *api) sendFile(w http.ResponseWriter, r *http.Request) error {
	file, err := a.findArtifact(r)
	if err != nil {
		return err
	}
	key, kind := file.BlobKey, file.ContentType
	if file.IsFolder() {
		_, name, _ := inShare(chi.URLParam(r, "*"))
		if kind = typeByName(name); kind == "" {
			return artifact.ErrNotFound
		}
		key += name
	}
	content, err := openContent(r.Context(), a.Blobs, key, file)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return artifact.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("open artifact %s: %w", file.ID, err)
	}
	defer content.Close()
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("ETag", `"`+file.ID.String()+`"`)
	// Whatever somebody uploaded, it does nothing when it is opened by itself.
	h.Set("Content-Security-Policy", "default-src 'none'; media-src 'self'; sandbox")
	if r.URL.Query().Get("download") != "" || file.Kind == artifact.Upload || file.Kind == artifact.Export {
		h.Set("Content-Disposition", disposition(path.Base(file.Name)))
	}
	boundRanges(r)
	http.ServeContent(newDownloadWriter(w), r, "", file.CreatedAt, content)
	return nil
}

// inFolder is what the files of a folder are called. No other name leads into
// the blob store, so none leads out of the folder.
var inFolder = regexp.MustCompile(`^[0-9A-Za-z_-]{1,100}\.[0-9a-z]{1,10}$`)

// typeByName is the media type of one of a folder's files; of another name it is
// empty.
func typeByName(name string) string {
	if !inFolder.MatchString(name) {
		return ""
	}
	switch path.Ext(name) {
	case ".m3u8":
		return "application/vnd.apple.mpegurl"
	case ".ts":
		return "video/mp2t"
	case ".m4s", ".mp4":
		return "video/mp4"
	case ".vtt":
		return "text/vtt"
	default:
		return ""
	}
}

// removeBlobs removes a file, or all files of a folder, even when the request is
// over.
func (a *api) removeBlobs(ctx context.Context, key string) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if !strings.HasSuffix(key, "/") {
		return a.Blobs.Delete(ctx, key)
	}
	list := a.Blobs.List(&blob.ListOptions{Prefix: key})
	for {
		object, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.Blobs.Delete(ctx, object.Key); err != nil {
			return err
		}
	}
}
