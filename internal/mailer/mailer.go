// Package mailer tells users by mail, over SMTP, how their jobs have ended.
package mailer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html/template"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"herald/internal/absent"
	"herald/internal/callback"
	"herald/internal/event"
)

// How a Mailer's connection is kept private.
const (
	StartTLS = "starttls" // begun in the clear, and refused unless it becomes TLS
	TLS      = "tls"
	Plain    = "none"
)

// Config is how mails are sent. Addr, From and To are required.
type Config struct {
	Addr     string // of the SMTP server, host:port
	Security string // StartTLS, the default, TLS or Plain
	User     string // empty: without a sign-in
	Password string
	From     string // an address, with a name or without
	To       string // whom a user's mails go to, with {user} in it

	PublicURL string         // where people reach Herald; empty: mails have no link
	Timeout   time.Duration  // for one try; default 30 s
	Roots     *x509.CertPool // whom the server's certificate is from; default the system's
}

// userMark stands in Config.To for a user's name.
const userMark = "{user}"

// Check says what is wrong with the config.
func (c Config) Check() error {
	_, port, err := net.SplitHostPort(c.Addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("the mail server %q: want host:port, such as mail.example.org:587", c.Addr)
	}
	if _, err := netmail.ParseAddress(c.From); err != nil {
		return fmt.Errorf("the sender %q is not a mail address", c.From)
	}
	if !strings.Contains(c.To, userMark) {
		return fmt.Errorf("the address %q: want %s in it, such as %s@example.org", c.To, userMark, userMark)
	}
	if _, err := c.address("someone@example.org"); err == nil {
		return nil // names are addresses themselves
	}
	_, err = c.address("someone")
	return err
}

// address is where the user's mails go.
func (c Config) address(user string) (string, error) {
	text := strings.ReplaceAll(c.To, userMark, user)
	a, err := netmail.ParseAddress(text)
	// What is written otherwise, with a name or in quotes, might be another address than it seems.
	if err != nil || a.Address != text || strings.ContainsFunc(text, unicode.IsControl) {
		return "", errors.New("the user's name gives no mail address")
	}
	return a.Address, nil
}

// Mailer sends mails by SMTP. It is safe for concurrent use.
type Mailer struct{ config Config }

// New returns a Mailer, or what is wrong with the config.
func New(c Config) (*Mailer, error) {
	if c.Security == "" {
		c.Security = StartTLS
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	return &Mailer{c}, c.Check()
}

// Send tries once to send the message.
func (m *Mailer) Send(ctx context.Context, of absent.Message) callback.Result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, m.config.Timeout)
	defer cancel()
	letter, err := m.letter(of)
	if err != nil {
		return callback.Result{Err: err, Final: true, Duration: time.Since(began)}
	}
	err = m.send(ctx, letter)
	r := callback.Result{Duration: time.Since(began), Err: err}
	var (
		refused *mail.SendError
		connect *net.OpError
	)
	switch {
	case errors.As(err, &connect): // where the server is, those who follow a job need not know
		r.Err = fmt.Errorf("no connection to the mail server: %w", connect.Err)
	case errors.As(err, &refused):
		r.Status, r.Final = refused.ErrorCode(), !refused.IsTemp() && refused.ErrorCode() >= 500
	case err == nil:
		const accepted = 250
		r.Status = accepted
	}
	return r
}

// Try connects to the server and signs in, as for a mail, but sends none.
func (m *Mailer) Try(ctx context.Context) error {
	client, err := m.client()
	if err != nil {
		return err
	}
	if err := client.DialWithContext(ctx); err != nil {
		return err
	}
	return client.Close()
}

func (m *Mailer) send(ctx context.Context, letter *mail.Msg) error {
	client, err := m.client()
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, letter)
}

func (m *Mailer) client() (*mail.Client, error) {
	host, port, err := net.SplitHostPort(m.config.Addr)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	options := []mail.Option{
		mail.WithPort(number), mail.WithTimeout(m.config.Timeout),
		mail.WithTLSConfig(&tls.Config{ServerName: host, RootCAs: m.config.Roots, MinVersion: tls.VersionTLS12}),
	}
	switch m.config.Security {
	case TLS:
		options = append(options, mail.WithSSL())
	case Plain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.config.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.config.User), mail.WithPassword(m.config.Password))
	}
	return mail.NewClient(host, options...)
}

// letter is the mail. What is the user's or a job's stands in the body, or in the
// subject, which is encoded: no header can be made of it.
func (m *Mailer) letter(of absent.Message) (*mail.Msg, error) {
	to, err := m.config.address(of.User)
	if err != nil {
		return nil, err
	}
	letter := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(letter.From(m.config.From), letter.To(to)); err != nil {
		return nil, errors.New("the user's name gives no mail address")
	}
	from, err := netmail.ParseAddress(m.config.From)
	if err != nil {
		return nil, err
	}
	letter.SetMessageIDWithValue(of.ID + from.Address[strings.LastIndexByte(from.Address, '@'):])
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // nobody's holiday answers it
	letter.SetDate()
	letter.Subject(plain(of.Title) + " " + ending(of.Told))
	text, page, err := m.parts(of)
	if err != nil {
		return nil, err
	}
	letter.SetBodyString(mail.TypeTextPlain, text)
	letter.AddAlternativeString(mail.TypeTextHTML, page)
	return letter, nil
}

// parts are the mail's two parts, which say the same.
func (m *Mailer) parts(of absent.Message) (text, page string, err error) {
	link := ""
	if m.config.PublicURL != "" {
		var err error
		if link, err = url.JoinPath(m.config.PublicURL, "jobs", of.JobID.String()); err != nil {
			return "", "", err
		}
	}
	data := map[string]string{
		"Title": plain(of.Title), "Ending": ending(of.Told), "At": of.At.UTC().Format("2 January 2006, 15:04 MST"), "Error": of.Error, "Link": link,
	}
	var plainText, html bytes.Buffer
	fmt.Fprintf(&plainText, "%s %s on %s.\n", data["Title"], data["Ending"], data["At"])
	if of.Error != "" {
		fmt.Fprintf(&plainText, "\nWhat went wrong:\n%s\n", of.Error)
	}
	if link != "" {
		fmt.Fprintf(&plainText, "\n%s\n", link)
	}
	fmt.Fprint(&plainText, "\nYou get this since you were not there to see it.\n")
	layout, err := template.New("mail").Parse(mailPage)
	if err == nil {
		err = layout.Execute(&html, data)
	}
	if err != nil {
		return "", "", err
	}
	return plainText.String(), html.String(), nil
}

// mailPage is the mail's part in HTML.
const mailPage = `<!doctype html>
<html lang="en"><body style="font-family:sans-serif;color:#16201d">
<p><strong>{{.Title}}</strong> {{.Ending}} on {{.At}}.</p>
{{with .Error}}<p>What went wrong:</p>
<pre style="white-space:pre-wrap">{{.}}</pre>
{{end}}{{with .Link}}<p><a href="{{.}}">Look at the job</a></p>
{{end}}<p style="color:#515b57">You get this since you were not there to see it.</p>
</body></html>
`

// ending is what became of a job, as a subject has it.
func ending(t event.Type) string {
	switch t {
	case event.JobSucceeded:
		return "has finished"
	case event.JobCancelled:
		return "was cancelled"
	default:
		return "has failed"
	}
}

// plain is a text on one line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
