package herald

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What an *Error may be; use errors.Is.
var (
	// ErrUnauthorized means that the token is missing, malformed or expired.
	ErrUnauthorized = errors.New("not signed in")
	// ErrForbidden means that the token's owner may not do this.
	ErrForbidden = errors.New("not allowed")
	// ErrNotFound means that there is no such thing, or none that the token's
	// owner may see.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the job's state does not allow this.
	ErrConflict = errors.New("the state does not allow this")
	// ErrInvalid means that the request does not make sense.
	ErrInvalid = errors.New("invalid request")
	// ErrTooLarge means that the request is larger than the server takes.
	ErrTooLarge = errors.New("too large")
	// ErrUnavailable means that the server cannot answer now: it is starting,
	// stopping, overloaded, or broken. Trying again later may help.
	ErrUnavailable = errors.New("the server cannot answer now")
)

// Why a worker's context ends: see context.Cause.
var (
	// ErrCancelled means that somebody has asked for the job's end. The worker
	// stops, and reports that with Reporter.Cancelled.
	ErrCancelled = errors.New("the job is to be cancelled")
	// ErrOver means that the attempt is over: the job has ended or is gone, or
	// another attempt has begun. Nothing that this one says counts any more.
	ErrOver = errors.New("the attempt is over")
)

// Error is what the server says of a request that it refuses (RFC 9457).
type Error struct {
	Status    int    `json:"status"`     // HTTP's
	Type      string `json:"type"`       // which kind of problem it is, such as "/problems/not-found"; stable
	Title     string `json:"title"`      // for people
	Detail    string `json:"detail"`     // what is wrong this time, and what to do
	RequestID string `json:"request_id"` // what to name when asking for help

	RetryAfter time.Duration `json:"-"` // when to come again, if the server says so
}

// Error says what is wrong.
func (e *Error) Error() string {
	text := e.Title
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if text == "" {
		text = http.StatusText(e.Status)
	}
	return fmt.Sprintf("herald: %s (%d)", text, e.Status)
}

// Is reports whether the error is of the kind of the target.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized
	case ErrForbidden:
		return e.Status == http.StatusForbidden
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrConflict:
		return e.Status == http.StatusConflict
	case ErrTooLarge:
		return e.Status == http.StatusRequestEntityTooLarge
	case ErrInvalid:
		return e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity
	case ErrUnavailable:
		return e.temporary()
	}
	return false
}

// temporary reports whether the same request may be answered another time.
func (e *Error) temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= http.StatusInternalServerError && e.Status != http.StatusNotImplemented
}

// refusal reads the error that the response is.
func refusal(res *http.Response, body []byte) *Error {
	e := &Error{}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") || json.Unmarshal(body, e) != nil {
		e = &Error{} // a proxy's page, which is of no use to anybody
	}
	e.Status = res.StatusCode
	e.RetryAfter = retryAfter(res.Header.Get("Retry-After"))
	return e
}

// retryAfter reads seconds or a date; zero when it is neither.
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<31)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// repeatable reports whether it may help to send a request again. Whatever is no
// *Error happened on the way.
func repeatable(err error) bool {
	var refused *Error
	return !errors.As(err, &refused) || refused.temporary()
}
