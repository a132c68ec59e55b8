package callback

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Message is what a receiver is told. Each try to send it says the same.
type Message struct {
	ID   string // by which a receiver knows what it has had before
	URL  string
	Body []byte // JSON
}

// Result is what became of one try.
type Result struct {
	Status   int           // of the answer; 0 when there was none
	Duration time.Duration // until the answer, or until there was to be none
	Err      error         // nil: the receiver has it
	Final    bool          // with Err: another try is of no use
}

// Config is how a Sender works. Secrets is required.
type Config struct {
	Secrets []Secret
	Rules   Rules
	Timeout time.Duration  // for one try; default 15 s
	Roots   *x509.CertPool // whom receivers' certificates are from; default the system's
}

// Sender signs and sends messages. It is safe for concurrent use.
type Sender struct {
	config Config
	client *http.Client
}

const (
	// maxHead and maxAnswer bound what is read of an answer, in bytes.
	maxHead   = 16 << 10
	maxAnswer = 64 << 10
)

// NewSender returns a Sender.
func NewSender(c Config) *Sender {
	if c.Timeout <= 0 {
		c.Timeout = 15 * time.Second
	}
	dialer := &net.Dialer{Timeout: c.Timeout, Control: c.Rules.control}
	return &Sender{config: c, client: &http.Client{
		Transport: &http.Transport{
			// There is no proxy: it would make the connections, and nobody would check them.
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true, // each try looks the name up anew
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: maxHead,
			TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Send tries once to send the message. Its errors do not tell the URL, of which
// a part may be secret.
func (s *Sender) Send(ctx context.Context, m Message) Result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	status, err := s.post(ctx, m)
	r := Result{Status: status, Duration: time.Since(began), Err: err}
	var outer *url.Error
	switch {
	case errors.As(err, &outer):
		r.Err, r.Final = s.plain(outer), errors.Is(err, ErrRefused)
	case err != nil:
		r.Final = true
	case status == http.StatusGone:
		r.Err, r.Final = errors.New("the receiver wants no more callbacks (410 Gone)"), true
	case status < 200 || status > 299:
		r.Err = fmt.Errorf("the receiver answered %d %s", status, http.StatusText(status))
	}
	return r
}

// plain is the error without the URL, and without the addresses that names within
// lead to: those who follow a job need not know them.
func (s *Sender) plain(err *url.Error) error {
	var (
		name    *net.DNSError
		connect *net.OpError
	)
	switch {
	case err.Timeout():
		return fmt.Errorf("no answer within %v", s.config.Timeout)
	case errors.Is(err, ErrRefused):
		return ErrRefused
	case errors.As(err, &name):
		return errors.New("the receiver's name leads nowhere")
	case errors.As(err, &connect):
		return fmt.Errorf("no connection: %w", connect.Err)
	default:
		return err.Err
	}
}

func (s *Sender) post(ctx context.Context, m Message) (status int, err error) {
	if err := s.config.Rules.CheckURL(m.URL); err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return 0, fmt.Errorf("%w: it is not a URL", ErrRefused)
	}
	now := time.Now()
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "herald", "webhook-id": m.ID,
		"webhook-timestamp": strconv.FormatInt(now.Unix(), 10), "webhook-signature": sign(s.config.Secrets, m.ID, now, m.Body),
	} {
		req.Header.Set(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	// The status is the answer. A receiver that is still about to say more gets to say some of it.
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, nil
}
