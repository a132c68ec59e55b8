package herald

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config says how a Client reaches its server. URL is required.
type Config struct {
	URL   string // the server's, such as "https://herald.example"; a path before its /api is kept
	Token string // who is asking; empty where TokenSource is set

	// TokenSource is asked for the token of each request, so that one that has
	// expired is replaced. It is called from many goroutines. Default: Token.
	TokenSource func(ctx context.Context) (string, error)

	HTTPClient *http.Client  // default: one of the Client's own; its Timeout is not used
	Attempts   int           // how often one call is tried in all; default 5
	Timeout    time.Duration // for one try; default 15 s
	MinWait    time.Duration // before the second try, about; it doubles from there; default 200 ms
	MaxWait    time.Duration // between tries at most, also when the server asks for more; default 30 s

	Pace      time.Duration // least time between two records of a Reporter's progress; default 250 ms
	Heartbeat time.Duration // longest silence of a Reporter; default 5 s
	EndTime   time.Duration // how long a Reporter tries to say its last; default 30 s

	Log *slog.Logger // hears of reports and streams that have trouble; default: none
}

// Client reports on jobs to a Herald server, and reads its events. Its methods
// may be called from any goroutine.
type Client struct {
	config Config
	base   *url.URL
	http   *http.Client
}

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 8 << 20

// New returns a Client. It does not talk to the server yet.
func New(config Config) (*Client, error) {
	base, err := url.Parse(config.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("herald: %q is not a server's URL: want one such as https://herald.example", config.URL)
	}
	if strings.ContainsAny(config.Token, "\r\n") {
		return nil, errors.New("herald: the token contains a line break")
	}
	base.RawQuery, base.Fragment = "", ""
	config.setDefaults()
	own := http.Client{}
	if config.HTTPClient != nil {
		own = *config.HTTPClient
	}
	own.Timeout = 0 // streams stay open
	if own.CheckRedirect == nil {
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &Client{config: config, base: base, http: &own}, nil
}

func (c *Config) setDefaults() {
	if c.Attempts <= 0 {
		c.Attempts = 5
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&c.Timeout, 15 * time.Second},
		{&c.MinWait, 200 * time.Millisecond},
		{&c.MaxWait, 30 * time.Second},
		{&c.Pace, 250 * time.Millisecond},
		{&c.Heartbeat, 5 * time.Second},
		{&c.EndTime, 30 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TokenSource == nil {
		token := c.Token
		c.TokenSource = func(context.Context) (string, error) { return token, nil }
	}
}

// CreateJob makes a job. Its topic is "job:" and its ID.
func (c *Client) CreateJob(ctx context.Context, n NewJob) (Job, error) {
	if n.Key == "" {
		n.Key = newKey()
	}
	var j Job
	return j, c.call(ctx, request{method: http.MethodPost, path: "/api/jobs", key: n.Key, body: n}, &j)
}

// Job reads a job.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	var j Job
	return j, c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "")}, &j)
}

// JobFilter says which of the token's owner's jobs are listed. The zero
// JobFilter lists all.
type JobFilter struct {
	State string // a State, or "active" or "ended"
	Kind  string

	// Claimable lists, instead of the token's owner's jobs, those of the Kind that
	// wait for a worker elsewhere and may begin now, oldest first.
	Claimable bool
}

// Jobs lists jobs, newest first. It reads on as the caller does; its last pair
// has the error that ended it, if one did.
func (c *Client) Jobs(ctx context.Context, f JobFilter) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		query := url.Values{"limit": {"200"}}
		if f.State != "" {
			query.Set("state", f.State)
		}
		if f.Kind != "" {
			query.Set("kind", f.Kind)
		}
		if f.Claimable {
			query.Set("claimable", "true")
		}
		for {
			var page struct {
				Jobs []Job  `json:"jobs"`
				Next string `json:"next"`
			}
			if err := c.call(ctx, request{method: http.MethodGet, path: "/api/jobs", query: query}, &page); err != nil {
				yield(Job{}, err)
				return
			}
			for _, j := range page.Jobs {
				if !yield(j, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("before", page.Next)
		}
	}
}

// CancelJob asks for a job's end: at once where nothing runs, else as soon as its
// worker has stopped. Asking twice changes nothing.
func (c *Client) CancelJob(ctx context.Context, id string) (Job, error) {
	var j Job
	return j, c.call(ctx, request{method: http.MethodPost, path: jobPath(id, "/cancel")}, &j)
}

// RetryJob gives a failed or cancelled job another life. Whether it was done is
// unknown when the connection breaks, so it is not tried again then.
func (c *Client) RetryJob(ctx context.Context, id string) (Job, error) {
	var j Job
	return j, c.call(ctx, request{method: http.MethodPost, path: jobPath(id, "/retry"), once: true}, &j)
}

// DeleteJob removes an ended job. One that is gone already is no error.
func (c *Client) DeleteJob(ctx context.Context, id string) error {
	err := c.call(ctx, request{method: http.MethodDelete, path: jobPath(id, "")}, nil)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Report records reports on a job that runs elsewhere, in their order: all or
// none. A Reporter does the same with less to think of.
func (c *Client) Report(ctx context.Context, id string, reports ...Report) (Receipt, error) {
	return c.report(ctx, id, reports, newKey(), c.config.Attempts)
}

func (c *Client) report(ctx context.Context, id string, reports []Report, key string, attempts int) (Receipt, error) {
	body := struct {
		Reports []Report `json:"reports"`
	}{reports}
	var r Receipt
	return r, c.call(ctx, request{method: http.MethodPost, path: jobPath(id, "/reports"), key: key, body: body, attempts: attempts}, &r)
}

// Commands waits until the worker of the attempt is to do something, at most for
// the time given, which the server bounds at 30 s. Attempt 0 is whichever the
// job is at.
func (c *Client) Commands(ctx context.Context, id string, attempt int, wait time.Duration) (Commands, error) {
	wait = min(max(wait, 0), 30*time.Second)
	query := url.Values{"attempt": {strconv.Itoa(attempt)}, "wait": {strconv.Itoa(int(wait / time.Second))}}
	var out Commands
	return out, c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/commands"), query: query, extra: wait}, &out)
}

// JobEvents reads a job's timeline: at most 1000 events after the seq.
func (c *Client) JobEvents(ctx context.Context, id string, after int64) ([]Event, error) {
	var out struct {
		Events []Event `json:"events"`
	}
	query := url.Values{"after": {strconv.FormatInt(after, 10)}}
	err := c.call(ctx, request{method: http.MethodGet, path: jobPath(id, "/events"), query: query}, &out)
	return out.Events, err
}

// History lists events of the log. It reads on as the caller does; its last pair has the error
// that ended it, if one did.
func (c *Client) History(ctx context.Context, f EventFilter) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for query := f.query(); ; {
			var page struct {
				Events []Event `json:"events"`
				Next   string  `json:"next"`
			}
			err := c.call(ctx, request{method: http.MethodGet, path: "/api/events", query: query}, &page)
			for i := 0; err == nil && i < len(page.Events); i++ {
				if !yield(page.Events[i], nil) {
					return
				}
			}
			if err == nil && page.Next == "" {
				return
			}
			if err == nil {
				query, err = queryOf(page.Next)
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// queryOf is the query of a link.
func queryOf(link string) (url.Values, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, fmt.Errorf("herald: the next page's address: %w", err)
	}
	return u.Query(), nil
}

func (f EventFilter) query() url.Values {
	query := url.Values{"limit": {"200"}, "order": {"desc"}, "topic": f.Topics, "type": f.Types, "state": f.States}
	for name, value := range map[string]string{"user": f.User, "job": f.Job, "kind": f.Kind, "actor": f.Actor, "text": f.Text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	for name, seq := range map[string]int64{"after": f.After, "before": f.Before} {
		if seq > 0 {
			query.Set(name, strconv.FormatInt(seq, 10))
		}
	}
	for key, values := range f.Metadata {
		query["metadata."+key] = values
	}
	if f.Errors {
		query.Set("errors", "true")
	}
	if f.Oldest {
		query.Set("order", "asc")
	}
	return query
}

// Explain says why the user got the event, or did not; of who asks, when there is
// no user.
func (c *Client) Explain(ctx context.Context, seq int64, user string) (Explanation, error) {
	query := url.Values{}
	if user != "" {
		query.Set("user", user)
	}
	var out Explanation
	return out, c.call(ctx, request{method: http.MethodGet, path: "/api/events/" + strconv.FormatInt(seq, 10) + "/explain", query: query}, &out)
}

func jobPath(id, rest string) string { return "/api/jobs/" + url.PathEscape(id) + rest }

// newKey returns an idempotency key that nobody else has.
func newKey() string { return rand.Text() }

// request is one call of the API.
type request struct {
	method, path string
	query        url.Values
	key          string        // idempotency key
	body         any           // nil for none
	attempts     int           // default the Config's
	once         bool          // not to be repeated unless the server has refused it
	extra        time.Duration // how long the server may take beyond the usual
}

// call sends the request until it is answered, and reads the answer into out.
func (c *Client) call(ctx context.Context, r request, out any) error {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("herald: encode a request: %w: %w", ErrInvalid, err)
		}
	}
	if r.attempts == 0 {
		r.attempts = c.config.Attempts
	}
	for try := 1; ; try++ {
		err := c.try(ctx, r, body, out)
		if err == nil || try >= r.attempts || !repeatable(err) || ctx.Err() != nil {
			return err
		}
		var refused *Error
		answered := errors.As(err, &refused)
		if r.once && !answered {
			return err
		}
		wait := c.backoff(try)
		if answered && refused.RetryAfter > wait {
			if refused.RetryAfter > c.config.MaxWait {
				return err
			}
			wait = refused.RetryAfter
		}
		if !sleep(ctx, wait) {
			return err
		}
	}
}

// backoff is how long to wait after so many failures: it doubles, with jitter of
// up to half of it.
func (c *Client) backoff(failures int) time.Duration {
	wait := c.config.MinWait
	for range failures - 1 {
		if wait *= 2; wait >= c.config.MaxWait {
			wait = c.config.MaxWait
			break
		}
	}
	return wait/2 + mathrand.N(wait/2+1)
}

// sleep reports whether the time has passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// try sends the request once.
func (c *Client) try(ctx context.Context, r request, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout+r.extra)
	defer cancel()
	req, err := c.newRequest(ctx, r.method, r.path, r.query, body)
	if err != nil {
		return err
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("herald: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("herald: read the answer to %s %s: %w", r.method, r.path, err)
	case len(answer) > maxAnswer:
		return fmt.Errorf("herald: the answer to %s %s has more than %d bytes", r.method, r.path, maxAnswer)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return refusal(res, answer)
	case out == nil || len(answer) == 0:
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("herald: read the answer to %s %s: %w; is %s a Herald server?", r.method, r.path, err, c.base.Host)
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Request, error) {
	target := *c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("herald: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	token, err := c.config.TokenSource(ctx)
	if err != nil {
		return nil, fmt.Errorf("herald: get a token: %w", err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}
