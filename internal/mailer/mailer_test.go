package mailer_test

import (
	"crypto/x509"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"herald/internal/absent"
	"herald/internal/event"
	"herald/internal/mailer"
	"herald/internal/mailer/smtptest"
)

func config(s *smtptest.Server) mailer.Config {
	return mailer.Config{
		Addr: s.Addr, User: smtptest.User, Password: smtptest.Password, From: "Herald <herald@example.org>", To: "{user}@example.org",
		PublicURL: "https://herald.example.org", Roots: s.Roots,
	}
}

func newMailer(t *testing.T, c mailer.Config) *mailer.Mailer {
	t.Helper()
	m, err := mailer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func message() absent.Message {
	return absent.Message{
		ID: "msg_1", User: "ann", JobID: uuid.MustParse("01a22b34-9639-7410-8d0c-000000000001"), Told: event.JobFailed, Title: "Übung",
		Error: "no <space>", At: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC),
	}
}

// parts are what a mail says, by media type.
func parts(t *testing.T, m *netmail.Message) map[string]string {
	t.Helper()
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if err != nil {
			return got
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		got[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t)
	if r := newMailer(t, config(s)).Send(t.Context(), message()); r.Err != nil || r.Status != 250 {
		t.Fatalf("Send() = %+v", r)
	}
	mails := s.Mails()
	if len(mails) != 1 || mails[0].From != "herald@example.org" || strings.Join(mails[0].To, " ") != "ann@example.org" {
		t.Fatalf("mails = %+v", mails)
	}
	m, err := netmail.ReadMessage(strings.NewReader(mails[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Übung has failed" || m.Header.Get("Message-Id") != "<msg_1@example.org>" || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header = %v", m.Header)
	}
	got := parts(t, m)
	const link = "https://herald.example.org/jobs/01a22b34-9639-7410-8d0c-000000000001"
	if text := got["text/plain"]; !strings.Contains(text, "Übung has failed on 30 November 2026, 12:00 UTC.\n") || !strings.Contains(text, "no <space>") || !strings.Contains(text, link) {
		t.Errorf("text = %s", text)
	}
	if page := got["text/html"]; !strings.Contains(page, "no &lt;space&gt;") || !strings.Contains(page, `href="`+link+`"`) {
		t.Errorf("page = %s", page)
	}
}

// Whatever a job is called and a user is named, nobody else gets the mail, and no
// header is made of it.
func TestMailCannotBeInjected(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t)
	m := newMailer(t, config(s))
	for _, title := range []string{"x\r\nBcc: eve@example.com", "x\n\nbody", "x\r\n.\r\nMAIL FROM:<eve@example.com>", "x\x00y", "=?utf-8?q?x=0d=0aBcc:eve=40example.com?="} {
		evil := message()
		evil.Title, evil.Error = title, title
		if r := m.Send(t.Context(), evil); r.Err != nil {
			t.Errorf("%q: %v", title, r.Err)
		}
	}
	for _, mail := range s.Mails() {
		parsed, err := netmail.ReadMessage(strings.NewReader(mail.Data))
		if err != nil || len(parsed.Header["Bcc"]) > 0 || len(mail.To) != 1 {
			t.Errorf("a mail to %v: %v, %v", mail.To, parsed, err)
		}
	}
	if n := len(s.Mails()); n != 5 {
		t.Errorf("%d mails, want 5", n)
	}
	for _, user := range []string{"a\r\nRCPT TO:<eve@example.com>", "eve@example.com>,<ann", "ann@example.com,eve", `"ann`, "Ann <eve@example.com>", "", "a b", "ann@evil"} {
		evil := message()
		evil.User = user
		if r := m.Send(t.Context(), evil); r.Err == nil || !r.Final {
			t.Errorf("to %q = %+v, want it given up", user, r)
		}
	}
	if n := len(s.Mails()); n != 5 {
		t.Errorf("%d mails, want no other", n)
	}
}

func TestMailIsRefused(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t, smtptest.Temporary(), smtptest.Permanent())
	m := newMailer(t, config(s))
	if r := m.Send(t.Context(), message()); r.Err == nil || r.Final || r.Status != 451 {
		t.Errorf("later = %+v", r)
	}
	if r := m.Send(t.Context(), message()); r.Err == nil || !r.Final || r.Status != 550 {
		t.Errorf("never = %+v", r)
	}
	wrong := config(s)
	wrong.Password = "another"
	if r := newMailer(t, wrong).Send(t.Context(), message()); r.Err == nil || strings.Contains(r.Err.Error(), "another") {
		t.Errorf("with a wrong password = %+v", r)
	}
	stranger := config(s)
	stranger.Roots = x509.NewCertPool()
	if r := newMailer(t, stranger).Send(t.Context(), message()); r.Err == nil || r.Final {
		t.Errorf("to a server that nobody vouches for = %+v", r)
	}
	if r := m.Send(t.Context(), message()); r.Err != nil || len(s.Mails()) != 1 {
		t.Errorf("at last = %+v, %d mails", r, len(s.Mails()))
	}
}

func TestMailConfig(t *testing.T) {
	t.Parallel()
	good := mailer.Config{Addr: "mail.example.org:587", From: "herald@example.org", To: "{user}@example.org"}
	names := good
	names.To = "{user}"
	for _, c := range []mailer.Config{good, names} {
		if err := c.Check(); err != nil {
			t.Errorf("Check(%+v) = %v", c, err)
		}
	}
	for name, change := range map[string]func(*mailer.Config){
		"port": func(c *mailer.Config) { c.Addr = "mail.example.org" }, "sender": func(c *mailer.Config) { c.From = "herald" },
		"nobody": func(c *mailer.Config) { c.To = "all@example.org" }, "address": func(c *mailer.Config) { c.To = "{user}@" },
	} {
		c := good
		change(&c)
		if _, err := mailer.New(c); err == nil {
			t.Errorf("%s: New(%+v) gave no error", name, c)
		}
	}
}

// A trial signs in, and sends nothing.
func TestTry(t *testing.T) {
	t.Parallel()
	s := smtptest.New(t)
	if err := newMailer(t, config(s)).Try(t.Context()); err != nil {
		t.Errorf("Try() = %v", err)
	}
	wrong := config(s)
	wrong.Password = "wrong"
	if err := newMailer(t, wrong).Try(t.Context()); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("Try() = %v with a wrong password, want it refused, and not told", err)
	}
	plain := config(s)
	plain.Roots = nil
	if err := newMailer(t, plain).Try(t.Context()); err == nil {
		t.Error("Try() = nil with a certificate that nobody vouches for")
	}
	if n := len(s.Mails()); n != 0 {
		t.Errorf("%d mails were sent", n)
	}
}
