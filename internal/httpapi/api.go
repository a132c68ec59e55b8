// Package httpapi is Herald's HTTP API: the routes, who may use them, and the
// one place where an error becomes a status. It also serves the web app.
package httpapi

import (
	"context"
	_ "embed"
	"encoding/json"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"gocloud.dev/blob"

	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/event"
	"herald/internal/export"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/presence"
	"herald/internal/webhook"
)

// Tokens says whom a token names.
type Tokens interface {
	Verify(ctx context.Context, token string) (auth.Principal, error)
}

// Keys ends what was opened with an API key when that is revoked.
type Keys interface {
	// Hold calls end, maybe again and again, once the principal's key is known to be
	// revoked, until release is called.
	Hold(p auth.Principal, end func()) (release func())
}

// Tickets keeps tickets, each of which opens one stream.
type Tickets interface {
	// SaveTicket keeps the hash of a ticket of the principal's, for a while.
	SaveTicket(ctx context.Context, hash auth.Hash, p auth.Principal, life time.Duration) error
	// TakeTicket uses a ticket up, and returns whose it is; there may be
	// auth.ErrBadTicket. Of all that ever come with it, on all nodes, one gets it.
	TakeTicket(ctx context.Context, hash auth.Hash) (auth.Principal, error)
}

// Links signs links to artifacts.
type Links interface {
	SignLink(artifact string, expires time.Time) string
	CheckLink(artifact string, expires time.Time, signature string) error
}

// Jobs is what can be done with jobs.
type Jobs interface {
	CreateJob(ctx context.Context, n job.New) (job.Job, error)
	ClaimJob(ctx context.Context, id uuid.UUID, c job.Claim) (job.Outcome, error)
	ClaimNextJob(ctx context.Context, kinds []string, c job.Claim) (claimed job.Job, attempt int, err error)
	ClaimableJobs(ctx context.Context, kinds []string, after uuid.UUID, limit int) ([]job.Job, error)
	CountClaimable(ctx context.Context, kinds []string, bound int) (map[string]int, error)
	RecordReports(ctx context.Context, id uuid.UUID, reports []job.Report, key string, may func(job.Job) error) ([]job.Outcome, error)
	Job(ctx context.Context, id uuid.UUID) (job.Job, error)
	Jobs(ctx context.Context, f job.Filter) ([]job.Job, error)
	CancelJob(ctx context.Context, id uuid.UUID, actor string) (job.Job, error)
	RetryJob(ctx context.Context, id uuid.UUID, actor string) (job.Job, error)
	DeleteJob(ctx context.Context, id uuid.UUID, actor string) error
}

// Artifacts is what is known of uploads and results.
type Artifacts interface {
	SaveArtifact(ctx context.Context, a artifact.Artifact) error
	Artifact(ctx context.Context, id uuid.UUID) (artifact.Artifact, error)
	ArtifactsOfJob(ctx context.Context, id uuid.UUID) ([]artifact.Artifact, error)
}

// Presence writes down how this node's streams are, and takes their clients' acks:
// a presence.Tracker.
type Presence interface {
	Opened(c presence.Connection)
	Wrote(id uuid.UUID, seq event.Seq)
	Closed(id uuid.UUID, why presence.Reason, written event.Seq)
	Acked(a presence.Ack) error
	Await(ctx context.Context, a presence.Ack) error
}

// Connections is what is known of streams on all nodes, and how they are ended.
type Connections interface {
	Connection(ctx context.Context, id uuid.UUID) (presence.Connection, error)
	Connections(ctx context.Context, f presence.Filter) ([]presence.Connection, error)
	ConnectionStatistics(ctx context.Context) (presence.Statistics, error)
	UserPresence(ctx context.Context, user string) (presence.User, error)
	CloseConnection(ctx context.Context, id uuid.UUID, actor string) (presence.Connection, error)
	CloseUserConnections(ctx context.Context, user, actor string) (int, error)
}

// Deps is what the API stands on. All fields are required unless they say
// otherwise.
type Deps struct {
	Node      string // this node's name, told to clients
	Log       *slog.Logger
	Tokens    Tokens
	Keys      Keys // nil: there are no API keys
	Tickets   Tickets
	Links     Links
	Shares    Shares
	Jobs      Jobs
	Artifacts Artifacts
	Uploads   Uploads
	Snapshots Snapshots
	History   History
	Receipts  Receipts
	Broker    Broker
	Hub       *hub.Hub // made with StreamWords
	Presence  Presence // nil: streams are not written down, and no acks are taken
	Blobs     *blob.Bucket
	Metrics   http.Handler // answers with the node's metrics; nil where there are none
	App       fs.FS        // the built web app; without an index.html in it, a page says how to build it
	Docs      fs.FS        // the pages of documentation, compressed; nil: none are built

	Connections Connections
	Accesses    Accesses
	Queues      Queues
	Publisher   Publisher
	Addressees  Addressees
	Webhooks    webhook.Sources // whose webhooks are taken; by default nobody's

	// Prepare returns the args of a job of the kind as they are to be recorded, if
	// the principal may start it for the owner: a new one, or one that has ended,
	// once more. The error is a *job.InvalidError or an auth.ErrForbidden.
	Prepare func(p auth.Principal, owner, kind string, args json.RawMessage) (json.RawMessage, error)
	// CheckCallback says what is wrong with the address that is to be told of a job's
	// end, as a *job.InvalidError; nil: nobody is told.
	CheckCallback func(url string) error

	// Development is there where Herald is tried out, and with it the developer's
	// page; nil: neither is.
	Development *Development

	Datasets []export.Dataset            // what can be exported
	Kinds    []Kind                      // what Herald's own workers do
	Ping     func(context.Context) error // reports whether the database answers

	// TrustedProxies are those whose word is taken for where a request comes
	// from (X-Forwarded-For, X-Forwarded-Proto); by default nobody's is.
	TrustedProxies []netip.Prefix

	// AckInterval is how often clients are to say how far they have come, as
	// stream.open tells them; 0: not at all.
	AckInterval time.Duration

	// SignIn signs people in to the web app, besides links that carry a token, and
	// Issue makes the token of their session; nil: there is no such way in.
	SignIn SignIn
	Issue  func(p auth.Principal, life time.Duration) (string, error)

	// Origins are the other sites whose pages may use the API, each by its exact
	// origin, such as https://app.example.com; by default there are none.
	Origins []string

	Rates          Rates           // on requests
	RequestMetrics *RequestMetrics // is told of the requests that are refused; by default nobody is

	Limits        Limits         // on the streams that are open at once
	StreamMetrics *StreamMetrics // is told of the streams; by default nobody is

	MaxUpload int64 // bytes; default 20 GiB

	// Incoming bounds the uploads of one user that are under way; default 20 uploads,
	// and 50 GiB.
	Incoming artifact.IncomingLimits
}

// api is the handlers. It is not changed after New.
type api struct {
	Deps
	problems problems
	limits   *limiter
	rates    *rates
	looks    *buckets[string] // of those who may see others' things, at what comes in pieces
	waiters  *waiters

	reading   chan struct{} // a place for each page of history that is read
	exporting chan struct{} // and for each answer of all of it
}

// New returns the handler of all routes.
func New(d Deps) http.Handler {
	if d.MaxUpload <= 0 {
		d.MaxUpload = 20 << 30
	}
	if d.Incoming.Uploads <= 0 {
		d.Incoming.Uploads = 20
	}
	if d.Incoming.Bytes <= 0 {
		d.Incoming.Bytes = 50 << 30
	}
	if d.StreamMetrics == nil {
		d.StreamMetrics = NewStreamMetrics(nil)
	}
	if d.RequestMetrics == nil {
		d.RequestMetrics = NewRequestMetrics(nil)
	}
	if d.Presence == nil {
		d.Presence = unwritten{}
	}
	if d.Keys == nil {
		d.Keys = noKeys{}
	}
	a := &api{Deps: d, problems: problems{log: d.Log}, limits: newLimiter(d.Limits, d.StreamMetrics)}
	a.rates, a.looks = newRates(d.Rates, d.RequestMetrics), newBuckets[string](again())
	a.waiters = newWaiters(d.Jobs)
	a.reading, a.exporting = make(chan struct{}, maxHistory), make(chan struct{}, maxLines)
	r := chi.NewRouter()
	r.Use(
		withRequestID,
		a.withClient,
		a.logRequests,
		a.recoverPanics,
		boundTime,
		secureHeaders,
		a.allowOrigins,
		a.limitStrangers,
		a.refuseCrossOrigin,
	)
	r.NotFound(a.notFound)
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) { a.problems.write(w, r, errNoMethod) })

	read(r, "/healthz", a.health)
	read(r, "/readyz", a.ready)
	read(r, "/openapi.json", document(openAPIText))
	read(r, "/asyncapi.json", document(asyncAPIText))
	r.Post("/api/session", a.signIn)
	if a.SignIn != nil {
		r.Get(signInPath, a.beginSignIn)
		r.Get(signInPath+"/callback", a.finishSignIn)
	}
	r.With(a.limitOpenings, a.authenticateOrTicket).Get("/api/sse", a.stream)
	r.Post("/api/webhooks/{source}", a.webhook)
	r.Group(a.fileRoutes)
	r.Group(a.routes)
	a.serveApp(r)
	a.serveDocs(r)
	return r
}

// routes are those that answer nobody who is not known.
func (a *api) routes(r chi.Router) {
	r.Use(a.authenticate)
	r.Get("/metrics", a.metrics)
	r.Get("/api/session", a.session)
	r.Delete("/api/session", a.signOut)
	r.Options("/api/uploads", a.describeUploads)
	r.Post("/api/uploads", a.postUpload)
	r.Head("/api/uploads/{id}", a.headUpload)
	r.Patch("/api/uploads/{id}", a.patchUpload)
	r.Delete("/api/uploads/{id}", a.deleteUpload)
	if a.Development != nil {
		r.Get("/api/dev", a.devInfo)
	}

	a.operations(humachi.New(r.With(a.refuseNoText), a.openAPI()))
}

// fileRoutes answer those who are known, or have a link.
func (a *api) fileRoutes(r chi.Router) {
	r.Use(a.authenticateOrLink)
	read(r, "/api/artifacts/{id}", a.redirectArtifact)
	read(r, "/api/artifacts/{id}/*", a.download)
}

// read registers a handler for GET and HEAD.
func read(r chi.Router, path string, h http.HandlerFunc) {
	r.Get(path, h)
	r.Head(path, h)
}

// operations are the typed routes; what they take and give is their OpenAPI.
func (a *api) operations(typed huma.API) {
	handle(a, typed, http.MethodGet, "/api/jobs", "list-jobs", "List your jobs, newest first", http.StatusOK, a.listJobs)
	handle(a, typed, http.MethodPost, "/api/jobs", "start-job", "Start a job", http.StatusCreated, a.startJob)
	handle(a, typed, http.MethodGet, "/api/jobs/{id}", "get-job", "Look at a job", http.StatusOK, a.getJob)
	handle(a, typed, http.MethodDelete, "/api/jobs/{id}", "delete-job", "Remove an ended job", http.StatusNoContent, a.deleteJob)
	handle(a, typed, http.MethodPost, "/api/jobs/{id}/cancel", "cancel-job", "Ask for a job's end", http.StatusAccepted, a.cancelJob)
	handle(a, typed, http.MethodPost, "/api/jobs/{id}/retry", "retry-job", "Run a failed or cancelled job again", http.StatusAccepted, a.retryJob)
	handle(a, typed, http.MethodGet, "/api/jobs/{id}/events", "list-job-events", "Read a job's timeline", http.StatusOK, a.jobEvents)
	handle(a, typed, http.MethodGet, "/api/jobs/{id}/curve", "get-job-curve", "See how far a job was when", http.StatusOK, a.jobCurve)
	handle(a, typed, http.MethodGet, "/api/events", "list-events", "Look into the log, newest first", http.StatusOK, a.listEvents,
		map[string]*huma.Response{"200": historyResponse(typed)})
	handle(a, typed, http.MethodGet, "/api/events/{seq}", "get-event", "Look at an event", http.StatusOK, a.getEvent)
	handle(a, typed, http.MethodGet, "/api/events/{seq}/deliveries", "list-deliveries", "See what became of an event", http.StatusOK, a.deliveries)
	handle(a, typed, http.MethodGet, "/api/events/{seq}/explain", "explain-event", "See why a user got an event, or did not", http.StatusOK, a.explain)
	handle(a, typed, http.MethodGet, "/api/jobs/{id}/artifacts", "list-job-artifacts", "List what a job made", http.StatusOK, a.jobArtifacts)
	handle(a, typed, http.MethodPost, "/api/jobs/{id}/attempts", "claim-job", "Begin an attempt of a job that runs elsewhere", http.StatusCreated, a.claimJob)
	handle(a, typed, http.MethodPost, "/api/attempts", "claim-next-job", "Begin an attempt of the next job of your kinds that runs elsewhere", http.StatusOK, a.claimNextJob)
	handle(a, typed, http.MethodPost, "/api/jobs/{id}/reports", "report", "Report on a job that runs elsewhere", http.StatusOK, a.report)
	handle(a, typed, http.MethodGet, "/api/jobs/{id}/commands", "get-commands", "Wait for what the job's worker is to do", http.StatusOK, a.commands)
	handle(a, typed, http.MethodPost, "/api/tickets", "make-ticket", "Make a ticket that opens one stream", http.StatusCreated, a.makeTicket)
	handle(a, typed, http.MethodPost, "/api/sse/ack", "ack-stream", "Say how far you have come on your stream", http.StatusNoContent, a.ack)
	handle(a, typed, http.MethodPost, "/api/sse/message", "publish", "Publish an event", http.StatusOK, a.sendMessage)
	handle(a, typed, http.MethodPost, "/api/sse/messages", "publish-many", "Publish events, all or none", http.StatusOK, a.sendMessages)
	handle(a, typed, http.MethodGet, "/api/connections", "list-connections", "List streams, newest first", http.StatusOK, a.listConnections)
	handle(a, typed, http.MethodGet, "/api/connections/{id}", "get-connection", "Look at a stream", http.StatusOK, a.getConnection)
	handle(a, typed, http.MethodDelete, "/api/connections/{id}", "end-connection", "Ask for a stream's end", http.StatusAccepted, a.endConnection)
	handle(a, typed, http.MethodGet, "/api/users/{id}/presence", "get-presence", "See whether a user is there", http.StatusOK, a.userPresence)
	handle(a, typed, http.MethodGet, "/api/users/{id}/events", "list-user-events", "See what a user was told, and whether it arrived", http.StatusOK, a.userEvents)
	handle(a, typed, http.MethodGet, "/api/users/{id}/jobs", "list-user-jobs-then", "See a user's jobs as they stood at an event", http.StatusOK, a.jobsThen)
	handle(a, typed, http.MethodDelete, "/api/users/{id}/connections", "end-user-connections", "Ask for the end of a user's streams", http.StatusAccepted, a.endUserConnections)
	handle(a, typed, http.MethodPost, "/api/artifacts/{id}/links", "link-artifact", "Make a link that shows a file to whoever has it", http.StatusCreated, a.linkArtifact)
	handle(a, typed, http.MethodPost, "/api/jobs/{id}/shares", "share-job", "Make a link that shows a job to whoever has it", http.StatusCreated, a.shareJob)
	handle(a, typed, http.MethodGet, "/api/jobs/{id}/shares", "list-shares", "List the links that show a job", http.StatusOK, a.listShares)
	handle(a, typed, http.MethodDelete, "/api/jobs/{id}/shares/{share}", "revoke-share", "Make a link show nothing any more", http.StatusNoContent, a.revokeShare)
	handle(a, typed, http.MethodGet, "/api/share", "get-share", "See what the link shows by which you came", http.StatusOK, a.shared)
	handle(a, typed, http.MethodGet, "/api/uploads", "list-uploads", "List your uploads that are under way", http.StatusOK, a.listUploads)
	handle(a, typed, http.MethodGet, "/api/uploads/{id}", "get-upload", "Look at an upload that came in pieces", http.StatusOK, a.getUpload)
	handle(a, typed, http.MethodGet, "/api/exports/datasets", "list-export-datasets", "List what you can export", http.StatusOK, a.exportDatasets)
	handle(a, typed, http.MethodGet, "/api/kinds", "list-kinds", "List the kinds of job that Herald's workers do", http.StatusOK, a.listKinds)
	handle(a, typed, http.MethodGet, "/api/queue", "get-queue", "See how long the queues are, and who works them", http.StatusOK, a.queueOverview)
	handle(a, typed, http.MethodGet, "/api/queue/entries", "list-queue-entries", "List what is in the queues, newest first", http.StatusOK, a.queueEntries)
	handle(a, typed, http.MethodGet, "/api/queue/entries/{id}", "get-queue-entry", "See how the attempts of an entry went", http.StatusOK, a.queueEntry)
}

// maxBody bounds the body of a typed operation, in bytes.
const maxBody = 1 << 20

// handle registers a typed operation.
func handle[In, Out any](
	a *api, to huma.API, method, path, id, summary string, status int, do func(context.Context, *In) (*Out, error),
	answers ...map[string]*huma.Response,
) {
	op := huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status, MaxBodyBytes: maxBody, BodyReadTimeout: requestTime,
		Responses: map[string]*huma.Response{"default": problemResponse(to)},
	}
	for _, described := range answers { // those that its type does not describe
		maps.Copy(op.Responses, described)
	}
	huma.Register(to, op, func(ctx context.Context, in *In) (*Out, error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, a.problems.of(ctx, err)
		}
		return out, nil
	})
}

// problemResponse describes what an operation answers when it refuses.
func problemResponse(to huma.API) *huma.Response {
	return &huma.Response{
		Description: "A problem", Content: map[string]*huma.MediaType{problemType: {Schema: schemaOf[Problem](to, "Problem")}},
	}
}

// openAPIText is what the test of OpenAPI wrote out.
//
//go:embed openapi.json
var openAPIText []byte

// asyncAPIText is what the same test wrote out of AsyncAPI.
//
//go:embed asyncapi.json
var asyncAPIText []byte

// document answers with a document that everybody may read.
func document(text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(text)
	}
}

// schemaOf describes a type under a name.
func schemaOf[T any](to huma.API, name string) *huma.Schema {
	return to.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, name)
}

// OpenAPI returns the document of all routes but the web app's, OpenAPI 3.1 in JSON.
func OpenAPI() ([]byte, error) {
	a := &api{}
	typed := humachi.New(chi.NewRouter(), a.openAPI())
	a.operations(typed)
	describeOthers(typed)
	describeRefusals(typed)
	mend(typed.OpenAPI().Components.Schemas)
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} { // huma's own problems, which ours replace
		delete(typed.OpenAPI().Components.Schemas.Map(), unused)
	}
	document, err := json.MarshalIndent(typed.OpenAPI(), "", "  ")
	return append(document, '\n'), err
}

// openAPI is what the typed operations are described by. There is no page of
// documentation that loads from elsewhere, and no link added to each body.
func (a *api) openAPI() huma.Config {
	config := huma.DefaultConfig("Herald", "1")
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil
	config.Transformers = []huma.Transformer{a.problems.transform}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
		"session": {Type: "apiKey", In: "cookie", Name: cookieName},
	}
	config.Security = []map[string][]string{{"session": {}}, {"token": {}}} // one of them; the page that tries routes takes the first
	return config
}
