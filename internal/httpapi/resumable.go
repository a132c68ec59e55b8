package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"gocloud.dev/blob"

	"herald/internal/artifact"
	"herald/internal/auth"
)

// Uploads is what is known of uploads that come in pieces.
type Uploads interface {
	BeginUpload(ctx context.Context, i artifact.Incoming, limits artifact.IncomingLimits, whole artifact.Artifact) error
	Upload(ctx context.Context, id uuid.UUID) (artifact.Incoming, error)
	UploadsOf(ctx context.Context, owner string, limit int) ([]artifact.Incoming, error)
	ClaimUpload(ctx context.Context, id, writer uuid.UUID, start int64) (artifact.Incoming, error)
	AppendUpload(ctx context.Context, id, writer uuid.UUID, p artifact.Part, digest []byte, whole *artifact.Artifact) error
	DropUpload(ctx context.Context, id uuid.UUID) error
}

// maxParts bounds how many parts an upload may come in.
const maxParts = 10_000

var (
	errTooMuch   = errors.New("more bytes came than Upload-Length has promised")
	errManyParts = fmt.Errorf("the upload came in more than %d pieces: begin a new one, and send larger pieces", maxParts)
	errChecksum  = errors.New("what came does not have the SHA-256 that was promised: send the file again")
)

type (
	uploadIn struct {
		ID uuid.UUID `path:"id" format:"uuid"`
	}
	uploadOut  struct{ Body uploadView }
	uploadsOut struct {
		Body struct {
			Uploads []uploadView `json:"uploads"`
		}
	}
	// uploadView is an upload that comes in pieces, as the API shows it.
	uploadView struct {
		ID          uuid.UUID      `json:"id" doc:"Also that of the artifact that it becomes."`
		Name        string         `json:"name"`
		ContentType string         `json:"content_type"`
		Size        int64          `json:"size"`
		Offset      int64          `json:"offset" doc:"How many bytes are there."`
		CreatedAt   time.Time      `json:"created_at"`
		ExpiresAt   time.Time      `json:"expires_at" doc:"Until when it has to be finished."`
		Artifact    *artifact.View `json:"artifact" doc:"What it has become; null before it is finished."`
	}
)

// mine is the upload, if it is the principal's.
func (a *api) mine(ctx context.Context, id uuid.UUID) (artifact.Incoming, error) {
	i, err := a.Uploads.Upload(ctx, id)
	switch {
	case err != nil:
		return i, err
	case i.Owner != principalOf(ctx).User, i.FinishedAt.IsZero() && time.Now().After(i.Expires()):
		return artifact.Incoming{}, artifact.ErrNoUpload
	}
	return i, nil
}

func (a *api) getUpload(ctx context.Context, in *uploadIn) (*uploadOut, error) {
	i, err := a.mine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &uploadOut{viewOfUpload(i)}
	if !i.FinishedAt.IsZero() {
		file, err := a.Artifacts.Artifact(ctx, i.ID)
		if err != nil {
			return nil, err
		}
		view := file.View()
		out.Body.Artifact = &view
	}
	return out, nil
}

func (a *api) listUploads(ctx context.Context, _ *struct{}) (*uploadsOut, error) {
	const most = 200
	list, err := a.Uploads.UploadsOf(ctx, principalOf(ctx).User, most)
	if err != nil {
		return nil, err
	}
	out := &uploadsOut{}
	out.Body.Uploads = make([]uploadView, len(list))
	for n, i := range list {
		out.Body.Uploads[n] = viewOfUpload(i)
	}
	return out, nil
}

func viewOfUpload(i artifact.Incoming) uploadView {
	return uploadView{
		ID: i.ID, Name: i.Name, ContentType: i.ContentType, Size: i.Size, Offset: i.Received,
		CreatedAt: artifact.Began(i.ID), ExpiresAt: i.Expires(),
	}
}

// describeUploads says what of tus is understood.
func (a *api) describeUploads(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Tus-Resumable", tusVersion)
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", "creation,expiration,termination")
	h.Set("Tus-Max-Size", strconv.FormatInt(a.MaxUpload, 10))
	w.WriteHeader(http.StatusNoContent)
}

// postUpload begins an upload that comes in pieces, or takes one that comes at once.
func (a *api) postUpload(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Tus-Resumable") == "" {
		a.upload(w, r)
		return
	}
	i, err := a.beginUpload(w, r)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	w.Header().Set("Location", "/api/uploads/"+i.ID.String())
	tellUpload(w, i)
	w.WriteHeader(http.StatusCreated)
}

func (a *api) beginUpload(w http.ResponseWriter, r *http.Request) (artifact.Incoming, error) {
	p := principalOf(r.Context())
	if !p.MayUpload() {
		return artifact.Incoming{}, fmt.Errorf("%w: upload", auth.ErrForbidden)
	}
	if err := checkTus(w, r); err != nil {
		return artifact.Incoming{}, err
	}
	head, err := parseUploadHead(r.Header)
	if err != nil {
		return artifact.Incoming{}, err
	}
	if head.size > a.MaxUpload {
		return artifact.Incoming{}, &http.MaxBytesError{Limit: a.MaxUpload}
	}
	sum := sha256.New()
	i := artifact.Incoming{
		ID: uuid.Must(uuid.NewV7()), Owner: p.User, Name: head.name, ContentType: head.contentType, Size: head.size,
		SHA256: head.sha256, Digest: stateOf(sum),
	}
	whole := i.Whole(hex.EncodeToString(sum.Sum(nil)))
	if i.Size == 0 && i.SHA256 != "" && i.SHA256 != whole.SHA256 {
		return i, errChecksum
	}
	return i, a.Uploads.BeginUpload(r.Context(), i, a.Incoming, whole)
}

// checkTus refuses another version of the protocol.
func checkTus(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Tus-Resumable", tusVersion)
	if r.Header.Get("Tus-Resumable") != tusVersion {
		w.Header().Set("Tus-Version", tusVersion)
		return errTusVersion
	}
	return nil
}

// tellUpload says how far the upload is, and until when it has to be finished.
func tellUpload(w http.ResponseWriter, i artifact.Incoming) {
	h := w.Header()
	h.Set("Tus-Resumable", tusVersion)
	h.Set("Cache-Control", "no-store")
	h.Set("Upload-Offset", strconv.FormatInt(i.Received, 10))
	h.Set("Upload-Length", strconv.FormatInt(i.Size, 10))
	if i.FinishedAt.IsZero() {
		h.Set("Upload-Expires", i.Expires().Format(http.TimeFormat))
	}
}

// routeUpload is the upload of the route, if it is the principal's.
func (a *api) routeUpload(r *http.Request) (artifact.Incoming, error) {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		return artifact.Incoming{}, artifact.ErrNoUpload
	}
	return a.mine(r.Context(), id)
}

// headUpload says how far an upload is.
func (a *api) headUpload(w http.ResponseWriter, r *http.Request) {
	i, err := a.routeUpload(r)
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	tellUpload(w, i)
	w.WriteHeader(http.StatusOK)
}

// deleteUpload ends an upload that is under way; nothing is left of it.
func (a *api) deleteUpload(w http.ResponseWriter, r *http.Request) {
	i, err := a.routeUpload(r)
	if err == nil {
		err = a.Uploads.DropUpload(r.Context(), i.ID)
	}
	if err == nil {
		err = a.removeBlobs(r.Context(), artifact.PartsPrefixOf(i.ID))
	}
	if err != nil {
		a.problems.write(w, r, err)
		return
	}
	w.Header().Set("Tus-Resumable", tusVersion)
	w.WriteHeader(http.StatusNoContent)
}

// patchUpload takes a piece of an upload. Whatever of it arrives is kept.
func (a *api) patchUpload(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	i, err := a.appendUpload(w, r)
	if err != nil {
		if offset, ok := errors.AsType[*artifact.OffsetError](err); ok {
			w.Header().Set("Upload-Offset", strconv.FormatInt(offset.Received, 10))
		}
		w.Header().Set("Connection", "close") // what is left of the body is not worth reading
		a.problems.write(w, r, err)
		return
	}
	tellUpload(w, i)
	w.WriteHeader(http.StatusNoContent)
}

func (a *api) appendUpload(w http.ResponseWriter, r *http.Request) (artifact.Incoming, error) {
	i, err := a.routeUpload(r)
	if err != nil {
		return i, err
	}
	if !principalOf(r.Context()).MayUpload() {
		return i, fmt.Errorf("%w: upload", auth.ErrForbidden)
	}
	if err := checkTus(w, r); err != nil {
		return i, err
	}
	start, err := parseUploadOffset(r.Header)
	if err != nil {
		return i, err
	}
	if start == i.Received && r.ContentLength > i.Size-start {
		return i, errTooMuch
	}
	writer := uuid.New()
	if i, err = a.Uploads.ClaimUpload(r.Context(), i.ID, writer, start); err != nil {
		return i, err
	}
	sum := sha256.New()
	if err := restore(sum, i.Digest); err != nil {
		return i, fmt.Errorf("go on with the digest of upload %s: %w", i.ID, err)
	}
	piece := &piece{
		api: a, upload: i, writer: writer, sum: sum,
		body: &uploadReader{body: r.Body, control: http.NewResponseController(w)},
	}
	err = piece.take(r.Context())
	return piece.upload, err
}

// piece is what one request brings of an upload.
type piece struct {
	*api
	upload artifact.Incoming
	writer uuid.UUID
	sum    hash.Hash // of all up to here
	body   io.Reader
}

// take stores the piece in parts, each of which is safe when it is entered: a node
// that is killed loses no more than one. What came before the line went dead is
// kept too.
func (p *piece) take(ctx context.Context) error {
	// The client's going away ends the body, and not what is done with what came.
	ctx = context.WithoutCancel(ctx)
	for p.upload.Received < p.upload.Size {
		if p.upload.Parts >= maxParts {
			return errManyParts
		}
		n, err := p.part(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}

// part stores the next part: as much as one may have, all that is still to come,
// or what there is until the body ends, in good order or not.
func (p *piece) part(ctx context.Context) (int64, error) {
	left := p.upload.Size - p.upload.Received
	part := artifact.Part{Key: artifact.NewPartKey(p.upload.ID), Start: p.upload.Received}
	limited := &ending{r: io.LimitReader(p.body, min(left, uploadPart(p.MaxUpload)))}
	var err error
	if part.Size, err = p.storePart(ctx, part.Key, io.TeeReader(limited, p.sum)); err != nil {
		return 0, fmt.Errorf("store a part of upload %s: %w", p.upload.ID, err)
	}
	if part.Size == 0 {
		return 0, limited.err
	}
	if part.Size == left && limited.err == nil {
		if n, _ := io.ReadFull(p.body, make([]byte, 1)); n > 0 {
			return 0, errors.Join(errTooMuch, p.removeBlobs(ctx, part.Key))
		}
	}
	if err := p.enter(ctx, part, part.Size == left); err != nil {
		return 0, err
	}
	return part.Size, limited.err
}

// enter makes the part one of the upload's, and of the last one the whole a file.
func (p *piece) enter(ctx context.Context, part artifact.Part, last bool) error {
	var whole *artifact.Artifact
	if last {
		file := p.upload.Whole(hex.EncodeToString(p.sum.Sum(nil)))
		if p.upload.SHA256 != "" && p.upload.SHA256 != file.SHA256 {
			return errors.Join(errChecksum, p.Uploads.DropUpload(ctx, p.upload.ID),
				p.removeBlobs(ctx, artifact.PartsPrefixOf(p.upload.ID)))
		}
		whole = &file
	}
	if err := p.Uploads.AppendUpload(ctx, p.upload.ID, p.writer, part, stateOf(p.sum), whole); err != nil {
		return errors.Join(err, p.removeBlobs(ctx, part.Key))
	}
	p.upload.Received += part.Size
	p.upload.Parts++
	if last {
		p.upload.FinishedAt = time.Now()
	}
	return nil
}

// storePart writes all that r gives under the key; of nothing there is no blob.
func (a *api) storePart(ctx context.Context, key string, r io.Reader) (int64, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(r, first); err != nil {
		return 0, nil // the reader knows why
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := a.Blobs.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.MultiReader(strings.NewReader(string(first)), r))
	if err != nil {
		cancel() // makes Close drop what was written
		_ = out.Close()
		return 0, err
	}
	return n, out.Close()
}

// uploadPart is how large a part of an upload is at most, so that the largest
// upload has no more than a fifth of those that there may be.
func uploadPart(most int64) int64 {
	const usual = 16 << 20
	return max(usual, most/(maxParts/5)+1)
}

// ending is a reader that ends like any other when what it reads from breaks off,
// and knows why.
type ending struct {
	r   io.Reader
	err error // nil: it ended in good order
}

func (e *ending) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		e.err, err = err, io.EOF
	}
	return n, err
}

// stateOf is how far a digest has come, to be restored on any node.
func stateOf(sum hash.Hash) []byte {
	state, err := sum.(encoding.BinaryMarshaler).MarshalBinary() //nolint:forcetypeassert // the standard library's can
	if err != nil {
		panic(err) // it never fails
	}
	return state
}

func restore(sum hash.Hash, state []byte) error {
	return sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) //nolint:forcetypeassert // as above
}
