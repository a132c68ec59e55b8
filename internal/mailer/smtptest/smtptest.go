// Package smtptest is a mail server for tests.
package smtptest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Whom the server lets in.
const (
	User     = "herald"
	Password = "a password"
)

// Mail is what has come.
type Mail struct {
	From string
	To   []string
	Data string
}

// Server takes mails, by STARTTLS and with a sign-in alone.
type Server struct {
	Addr  string
	Roots *x509.CertPool // whom its certificate is from

	mu    sync.Mutex // guards the fields below
	mails []Mail
	fails []error
}

// New starts a server, which ends with the test. It answers the first recipients
// with the errors.
func New(t *testing.T, fails ...error) *Server {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	s := &Server{Roots: roots, fails: fails}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }))
	server.Domain = "localhost"
	server.TLSConfig = &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12}
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	certified.Close()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = listener.Addr().String()
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// Mails are those that have come.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail{}, s.mails...)
}

// Temporary is an answer after which another try is of use.
func Temporary() error { return &smtp.SMTPError{Code: 451, Message: "come back later"} }

// Permanent is one after which it is not.
func Permanent() error { return &smtp.SMTPError{Code: 550, Message: "no such mailbox"} }

// session is one client's.
type session struct {
	server  *Server
	allowed bool
	mail    Mail
}

func (*session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != User || password != Password {
			return smtp.ErrAuthFailed
		}
		s.allowed = true
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.allowed {
		return smtp.ErrAuthRequired
	}
	s.mail = Mail{From: from}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if len(s.server.fails) > 0 {
		err := s.server.fails[0]
		s.server.fails = s.server.fails[1:]
		return err
	}
	s.mail.To = append(s.mail.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.Data = string(data)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

func (s *session) Reset() { s.mail = Mail{} }

func (*session) Logout() error { return nil }
