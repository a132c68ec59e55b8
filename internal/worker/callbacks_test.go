package worker_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/job"
	"herald/internal/worker"
)

const callbackSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver is a server that is called back. It answers with the statuses, and
// then with 204.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex // guards the fields below
	statuses []int
	ids      []string
	bodies   []string
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil || !signed(in.Header, body) {
			t.Errorf("got %q with %v, %v: want it signed", body, in.Header, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ids, r.bodies = append(r.ids, in.Header.Get("Webhook-Id")), append(r.bodies, string(body))
		status := http.StatusNoContent
		if n := len(r.ids); n <= len(r.statuses) {
			status = r.statuses[n-1]
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

// signed verifies a message as docs/webhooks.md tells receivers to.
func signed(h http.Header, body []byte) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(callbackSecret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), body)
	return hmac.Equal([]byte("v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(h.Get("Webhook-Signature")))
}

// got is what has come so far.
func (r *receiver) got() (ids, bodies []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids, r.bodies
}

// endJob makes a job that calls back, and ends it.
func (b *bench) endJob(t *testing.T, url string) job.Job {
	t.Helper()
	j, err := b.db.CreateJob(t.Context(), job.New{
		Kind: "elsewhere", Owner: "demo", Title: "t", CallbackURL: url, External: true, Begin: &job.Claim{By: "robot"},
	}, b.queue)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Succeeded, Result: json.RawMessage(`{"rows":7}`)}); err != nil {
		t.Fatal(err)
	}
	return b.job(t, j.ID)
}

// awaitCallbacks returns the tries on the job's timeline as soon as there are so
// many.
func (b *bench) awaitCallbacks(t *testing.T, id uuid.UUID, n int) []job.Callback {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		rows, err := b.db.Pool().Query(ctx, `SELECT payload FROM herald.outbox WHERE job_id = $1 AND type = 'job.callback' ORDER BY id`, id)
		if err != nil {
			t.Fatal(err)
		}
		tries, err := pgx.CollectRows(rows, pgx.RowTo[job.Callback])
		if err != nil {
			t.Fatal(err)
		}
		if len(tries) >= n {
			return tries
		}
		if _, err := b.changes.WaitForNotification(ctx); err != nil {
			t.Fatalf("waiting for %d tries, there are %+v", n, tries)
		}
	}
}

// A receiver that fails twice is told again, the same under the same id, until
// it takes it. Each try is on the timeline, and the job is as it was.
func TestCallbackIsTriedUntilItIsTaken(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t, http.StatusInternalServerError, http.StatusFound)
	b.run(t, b.config("n1"), noWork)
	j := b.endJob(t, r.URL+"/hook?token=secret")
	tries := b.awaitCallbacks(t, j.ID, 3)
	ids, bodies := r.got()
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] != ids[2] || !strings.HasPrefix(ids[0], "msg_") || bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Errorf("told %v %v, want the same three times", ids, bodies)
	}
	var said struct {
		Type string
		Data job.Job
	}
	if err := json.Unmarshal([]byte(bodies[0]), &said); err != nil || said.Type != "job.succeeded" || said.Data.ID != j.ID || said.Data.Version != j.Version || said.Data.State != job.Succeeded {
		t.Errorf("told %s, %v: want the job as it has ended", bodies[0], err)
	}
	for i, want := range []job.Callback{
		{Try: 1, Outcome: job.Again, Status: 500, Error: "The receiver answered 500 Internal Server Error."},
		{Try: 2, Outcome: job.Again, Status: 302, Error: "The receiver answered 302 Found."},
		{Try: 3, Outcome: job.Delivered, Status: 204},
	} {
		got := tries[i]
		if (got.NextAt != nil) != (want.Outcome == job.Again) {
			t.Errorf("try %d: the next is at %v", i+1, got.NextAt)
		}
		want.MessageID, want.Told, want.Host, want.Duration, want.NextAt = ids[0], "job.succeeded", strings.TrimPrefix(r.URL, "http://"), got.Duration, got.NextAt
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("try %d: -want +got:\n%s", i+1, diff)
		}
	}
	if diff := cmp.Diff(j, b.job(t, j.ID)); diff != "" {
		t.Errorf("the job has changed: -was +is:\n%s", diff)
	}
}

// What is of no use is given up at once: a receiver that wants no more, and an
// address within, whatever the rules were when the job was made.
func TestCallbackIsGivenUp(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t, http.StatusGone)
	b.run(t, b.config("n1"), noWork)
	for url, status := range map[string]int{r.URL: http.StatusGone, "http://[::1]:1/": 0} {
		j := b.endJob(t, url)
		if tries := b.awaitCallbacks(t, j.ID, 1); len(tries) != 1 || tries[0].Outcome != job.GivenUp || tries[0].Status != status || tries[0].Error == "" {
			t.Errorf("%s: %+v, want one try, given up", url, tries)
		}
	}
}

// A node is killed when the receiver has been told, and that is not recorded.
// Another node tells it again, under the same id.
func TestCallbackOfAKilledNode(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newReceiver(t)
	if _, err := b.changes.Exec(t.Context(), "LISTEN herald_test"); err != nil {
		t.Fatal(err)
	}
	child := b.startChild(t, "called")
	j := b.endJob(t, r.URL)
	b.hear(t, "herald_test")
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	b.exec(t, `UPDATE herald.nodes SET heartbeat_at = heartbeat_at - interval '10 s' WHERE id = $1`, victim)
	b.run(t, b.config("survivor"), noWork)
	tries := b.awaitCallbacks(t, j.ID, 1)
	if ids, bodies := r.got(); len(ids) != 2 || ids[0] != ids[1] || bodies[0] != bodies[1] {
		t.Errorf("told %v %v, want the same twice", ids, bodies)
	}
	if len(tries) != 1 || tries[0].Outcome != job.Delivered || tries[0].Try != 2 {
		t.Errorf("the timeline has %+v, want the try that was recorded", tries)
	}
}

func TestCallbackWaits(t *testing.T) {
	t.Parallel()
	for tries, want := range map[int]time.Duration{1: 5 * time.Second, 2: 20 * time.Second, 5: 1280 * time.Second, 8: 6 * time.Hour, 11: 6 * time.Hour, 1000: 6 * time.Hour} {
		if got := worker.CallbackWait(tries); got < want || got > want+want/10 {
			t.Errorf("the wait after %d tries is %v, want %v or a tenth more", tries, got, want)
		}
	}
}
