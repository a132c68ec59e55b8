package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/danielgtaylor/huma/v2"

	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/presence"
	"herald/internal/queue"
	"herald/internal/webhook"
)

var (
	errPanic       = errors.New("panic")
	errNoRoute     = errors.New("there is nothing at this address")
	errNoMethod    = errors.New("this address does not take that method")
	errCrossOrigin = errors.New("the request comes from another site's page")
	errNotReady    = errors.New("the database does not answer")
	errCutOff      = errors.New("the file did not arrive whole")
	errBadQuery    = errors.New("not a query that this route takes")
	errNoLink      = errors.New("it is a folder of files, and a link leads to one")
	errTooSlow     = fmt.Errorf("nothing came for %v", idleTransfer)
)

// problemTable is the one place where an error becomes a status: the first row
// that matches counts. Any other error is a 500 with a fixed text.
func problemTable() []problemRow {
	return []problemRow{
		{auth.ErrNoToken, http.StatusUnauthorized, "not-signed-in", "You are not signed in", false},
		{auth.ErrExpired, http.StatusUnauthorized, "token-expired", "Your sign-in has expired", false},
		{auth.ErrBadToken, http.StatusUnauthorized, "bad-token", "The token is not valid", false},
		{auth.ErrUnavailable, http.StatusServiceUnavailable, "not-ready", "Herald is not ready", false},
		{auth.ErrBadTicket, http.StatusUnauthorized, "bad-ticket", "The ticket is not valid", false},
		{auth.ErrBadLink, http.StatusForbidden, "bad-link", "The link is not valid", false},
		{auth.ErrLinkExpired, http.StatusForbidden, "link-expired", "The link has expired", false},
		{auth.ErrNoShare, http.StatusUnauthorized, "no-share", "There is no such link", false},
		{auth.ErrShareExpired, http.StatusUnauthorized, "share-expired", "The link has expired", false},
		{auth.ErrShareRevoked, http.StatusUnauthorized, "share-revoked", "The link was revoked", false},
		{auth.ErrManyShares, http.StatusConflict, "too-many-shares", "The job has too many links", false},
		{errNoLink, http.StatusUnprocessableEntity, "no-link", "There are no links to such files", false},
		{auth.ErrForbidden, http.StatusForbidden, "forbidden", "You may not do this", true},
		{errCrossOrigin, http.StatusForbidden, "cross-origin", "Requests from other sites are refused", false},
		{event.ErrBadCursor, http.StatusBadRequest, "bad-cursor", "The cursor is malformed", true},
		{event.ErrFilter, http.StatusBadRequest, "bad-filter", "The filter is malformed", true},
		{errBadQuery, http.StatusBadRequest, "bad-query", "The query is malformed", true},
		{event.ErrTopic, http.StatusBadRequest, "bad-topic", "The topic is malformed", true},
		{event.ErrType, http.StatusUnprocessableEntity, "bad-type", "The event's type is malformed or reserved", true},
		{event.ErrActor, http.StatusUnprocessableEntity, "bad-actor", "The actor's name is malformed", true},
		{event.ErrPayload, http.StatusUnprocessableEntity, "bad-payload", "The payload is not taken", true},
		{event.ErrPublication, http.StatusUnprocessableEntity, "bad-publication", "There are no events, or too many", true},
		{errTarget, http.StatusUnprocessableEntity, "no-target", "The message is for nobody", false},
		{eventlog.ErrBusy, http.StatusServiceUnavailable, "busy", "Herald has no room for it now", false},
		{event.ErrKey, http.StatusBadRequest, "bad-idempotency-key", "The idempotency key is malformed", true},
		{event.ErrKeyReused, http.StatusUnprocessableEntity, "idempotency-key-reused", "The idempotency key is that of another request", false},
		{event.ErrQuery, http.StatusBadRequest, "bad-query", "The query is malformed", true},
		{event.ErrNotFound, http.StatusNotFound, "not-found", "There is no such event", false},
		{event.ErrTooOld, http.StatusGone, "too-old", "The log is no longer kept so far back", true},
		{errBusy, http.StatusServiceUnavailable, "busy", "The log cannot be looked into at the moment", false},
		{errExports, http.StatusServiceUnavailable, "busy", "The log cannot be looked into at the moment", false},
		{queue.ErrNotFound, http.StatusNotFound, "not-found", "There is no such entry", false},
		{queue.ErrTooSlow, http.StatusServiceUnavailable, "busy", "The queue cannot be looked into at the moment", false},
		{job.ErrNotFound, http.StatusNotFound, "not-found", "There is no such job", false},
		{artifact.ErrManyUploads, http.StatusTooManyRequests, "too-many-uploads", "You have too many uploads under way", false},
		{artifact.ErrNoUpload, http.StatusNotFound, "not-found", "There is no such upload", false},
		{artifact.ErrOvertaken, http.StatusConflict, "overtaken", "Another request goes on with the upload", false},
		{errTusVersion, http.StatusPreconditionFailed, "tus-version", "That version of tus is not spoken here", false},
		{errUploadHead, http.StatusBadRequest, "bad-upload", "The upload's headers are malformed", true},
		{errPatchType, http.StatusUnsupportedMediaType, "not-a-piece", "That is no piece of an upload", false},
		{errTooMuch, http.StatusBadRequest, "more-than-promised", "The upload is longer than was promised", false},
		{errManyParts, http.StatusConflict, "too-many-pieces", "The upload came in too many pieces", false},
		{errChecksum, http.StatusUnprocessableEntity, "checksum-mismatch", "The file did not arrive as it was sent", false},
		{artifact.ErrExpired, http.StatusGone, "gone", "The file is no longer kept", false},
		{artifact.ErrTooLate, http.StatusRequestTimeout, "too-slow", "The upload took too long", false},
		{artifact.ErrNotFound, http.StatusNotFound, "not-found", "There is no such file", false},
		{presence.ErrMetadata, http.StatusBadRequest, "bad-query", "The query is malformed", true},
		{presence.ErrNotFound, http.StatusNotFound, "not-found", "There is no such stream", false},
		{presence.ErrAhead, http.StatusConflict, "ack-ahead", "The ack is ahead of the stream", false},
		{presence.ErrBusy, http.StatusServiceUnavailable, "busy", "Acks are not taken at the moment", false},
		{webhook.ErrUnknown, http.StatusNotFound, "not-found", "There is no such webhook", false},
		{webhook.ErrSignature, http.StatusForbidden, "bad-signature", "The signature is not valid", false},
		{webhook.ErrStale, http.StatusForbidden, "stale-webhook", "The webhook is too old", false},
		{webhook.ErrMapping, http.StatusUnprocessableEntity, "bad-webhook", "The webhook is not understood", true},
		{errNoRoute, http.StatusNotFound, "not-found", "There is nothing here", false},
		{errNoMethod, http.StatusMethodNotAllowed, "method-not-allowed", "The method is not allowed here", false},
		{job.ErrNotExternal, http.StatusConflict, "not-external", "The job does not run elsewhere", false},
		{job.ErrLeftQueue, http.StatusConflict, "left-queue", "The job's queue has removed it", true},
		{job.ErrNotEnded, http.StatusConflict, "not-ended", "The job has not ended", true},
		{errTooSlow, http.StatusRequestTimeout, "too-slow", "The upload stood still", false},
		{errCutOff, http.StatusBadRequest, "cut-off", "The upload was cut off", false},
		{syscall.ENOSPC, http.StatusInsufficientStorage, "disk-full", "The server's disk is full", false},
		{hub.ErrClosing, http.StatusServiceUnavailable, "closing", "This node is stopping: come back, and another will answer", false},
		{errNotReady, http.StatusServiceUnavailable, "not-ready", "Herald is not ready", false},
		{errNodeFull, http.StatusServiceUnavailable, "node-full", "Herald is full", false},
		{errAddressRate, http.StatusTooManyRequests, "too-many-requests", "Your network asks too often", false},
		{errUserRate, http.StatusTooManyRequests, "too-many-requests", "You ask too often", false},
		{errPublishRate, http.StatusTooManyRequests, "too-many-requests", "You publish too often", false},
		{errUploadRate, http.StatusTooManyRequests, "too-many-requests", "You upload too often", false},
		{errUserStreams, http.StatusTooManyRequests, "too-many-streams", "You have too many streams open", false},
		{errOpenings, http.StatusTooManyRequests, "too-fast", "Your network opens streams too fast", false},
		{errNodeWaits, http.StatusServiceUnavailable, "node-full", "Herald is full", false},
		{errUserWaits, http.StatusTooManyRequests, "too-many-waiting", "You have too many requests waiting", false},
		{errAddressStreams, http.StatusTooManyRequests, "too-many-streams", "Your network has too many streams open", false},
	}
}

type problemRow struct {
	is     error
	status int
	kind   string
	title  string
	whole  bool // all of the error's text is for people, not that of is alone
}

// Problem is an error as clients see it (RFC 9457).
//
//nolint:errname // the RFC's name
type Problem struct {
	Type      string `json:"type" doc:"Which kind of problem it is; stable."`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty" doc:"What is wrong this time, and what to do."`
	RequestID string `json:"request_id,omitempty" doc:"What to name when asking for help."`

	Errors []FieldError `json:"errors,omitempty" doc:"What is wrong with which field of the request, when it is known."`
}

// FieldError is what is wrong with one field of a request.
type FieldError struct {
	Field  string `json:"field" doc:"Its path in the body, with dots." example:"args.params.since"`
	Detail string `json:"detail" doc:"What is wanted instead."`
}

// Error makes Problem an error that huma takes as it is.
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// problemType is the media type of RFC 9457.
const problemType = "application/problem+json"

// ContentType is that of RFC 9457.
func (p *Problem) ContentType(string) string { return problemType }

// problems turns errors into Problems, and logs those that nobody foresaw,
// unless they are because the client is gone.
type problems struct{ log *slog.Logger }

// of returns the problem that the error is to a client.
func (ps problems) of(ctx context.Context, err error) *Problem {
	p := classify(err)
	p.Type = "/problems/" + p.Type
	p.RequestID = requestID(ctx)
	if p.Status == http.StatusInternalServerError && (ctx.Err() == nil || errors.Is(err, errPanic)) {
		ps.log.ErrorContext(ctx, "request failed", "error", err, "request_id", p.RequestID)
	}
	return p
}

func classify(err error) *Problem {
	var (
		already    *Problem
		invalid    *job.InvalidError
		transition *job.TransitionError
		tooLarge   *http.MaxBytesError
		offset     *artifact.OffsetError
	)
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &invalid):
		return &Problem{
			Type: "invalid", Title: "The request does not make sense", Status: http.StatusUnprocessableEntity,
			Detail: strings.ReplaceAll(err.Error(), "\n", "; "), Errors: fieldErrors(err),
		}
	case errors.As(err, &transition):
		return &Problem{Type: "wrong-state", Title: "The job's state does not allow this", Status: http.StatusConflict, Detail: transition.Error()}
	case errors.As(err, &offset):
		return &Problem{Type: "wrong-offset", Title: "The upload is not as far as that", Status: http.StatusConflict, Detail: offset.Error()}
	case errors.As(err, &tooLarge):
		return &Problem{
			Type: "too-large", Title: "The upload is too large", Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("at most %d bytes are taken", tooLarge.Limit),
		}
	}
	for _, row := range problemTable() {
		if errors.Is(err, row.is) {
			return &Problem{Type: row.kind, Title: row.title, Status: row.status, Detail: row.detail(err)}
		}
	}
	return &Problem{
		Type: "internal", Title: "Something went wrong here", Status: http.StatusInternalServerError,
		Detail: "The cause is in the server's log under the request's id.",
	}
}

// fieldErrors are all fields that the error, or those that are joined in it, are about.
func fieldErrors(err error) []FieldError {
	var fields []FieldError
	switch e := err.(type) { //nolint:errorlint // each is looked at, down to the last
	case *job.InvalidError:
		return []FieldError{{e.Field, e.Reason}}
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			fields = append(fields, fieldErrors(one)...)
		}
	case interface{ Unwrap() error }:
		return fieldErrors(e.Unwrap())
	}
	return fields
}

func (row problemRow) detail(err error) string {
	if row.whole {
		return err.Error()
	}
	return row.is.Error()
}

// problemKinds are all types of problems, and with which statuses each comes.
func problemKinds() map[string][]int {
	kinds := map[string][]int{
		"invalid": {http.StatusBadRequest, http.StatusUnprocessableEntity}, "wrong-state": {http.StatusConflict},
		"too-large": {http.StatusRequestEntityTooLarge}, "internal": {http.StatusInternalServerError},
		"unsupported-type": {http.StatusUnsupportedMediaType},
		"wrong-offset":     {http.StatusConflict},
	}
	for _, row := range problemTable() {
		if !slices.Contains(kinds[row.kind], row.status) {
			kinds[row.kind] = append(kinds[row.kind], row.status)
		}
	}
	return kinds
}

// write answers with the problem that the error is.
func (ps problems) write(w http.ResponseWriter, r *http.Request, err error) {
	ps.of(r.Context(), err).send(w)
}

// GetHeaders are those of an answer that is the problem; huma sets them, too.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{"Cache-Control": {"no-store"}}
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter())
	}
	return h
}

// send answers with the problem.
func (p *Problem) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), p.GetHeaders())
	writeJSON(w, p.Status, problemType, p)
}

// retryAfter is in how many seconds to come back: it spreads those who were
// refused together.
func retryAfter() string {
	const least, spread = 2, 8
	return strconv.Itoa(least + rand.IntN(spread))
}

// transform turns huma's own refusals into problems of ours.
func (ps problems) transform(ctx huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := &Problem{Type: "/problems/invalid", Title: "The request does not make sense", Status: model.Status, Detail: model.Detail}
	switch model.Status {
	case http.StatusRequestEntityTooLarge:
		p.Type, p.Title = "/problems/too-large", "The request is too large"
	case http.StatusUnsupportedMediaType:
		p.Type, p.Title = "/problems/unsupported-type", "The body is not JSON"
		p.Detail += "; send Content-Type: application/json"
	case http.StatusRequestTimeout:
		p.Type, p.Title = "/problems/too-slow", "The request took too long"
	case http.StatusInternalServerError:
		return ps.of(ctx.Context(), errors.New(model.Detail)), nil
	}
	for _, e := range model.Errors {
		p.Detail += "; " + strings.TrimPrefix(e.Location+": ", ": ") + e.Message
		if field, ok := strings.CutPrefix(e.Location, "body."); ok {
			p.Errors = append(p.Errors, FieldError{field, e.Message})
		}
	}
	p.RequestID = requestID(ctx.Context())
	return p, nil
}

// writeJSON answers with the value. What is passed can be encoded.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
