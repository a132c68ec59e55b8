package config

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// checkAbsent checks the settings of what absent users are told, as far as that can
// be done without the mail server.
func (c *Config) checkAbsent() error {
	const least, most = time.Minute, 7 * 24 * time.Hour // streams are remembered for longer
	u, err := url.Parse(c.PublicURL)
	switch {
	case c.PublicURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == ""):
		return fmt.Errorf("--public-url %q: want Herald's address, such as https://herald.example.org", c.PublicURL)
	case c.AbsentAfter == 0:
		return nil
	case c.AbsentAfter < least || c.AbsentAfter > most:
		return fmt.Errorf("--absent-after %v: want %v to %v, or 0 for nobody", c.AbsentAfter, least, most)
	case c.AbsentURL == "" && c.AbsentMailTo == "":
		return errors.New("--absent-after: want a way to tell users, as --absent-url or --absent-mail-to")
	case (c.AbsentURL == "") != (c.AbsentSecret == ""):
		return errors.New("--absent-url and HERALD_ABSENT_SECRET: want both or neither")
	case c.AbsentMailTo != "" && (c.SMTPAddr == "" || c.MailFrom == ""):
		return errors.New("--absent-mail-to: want a mail server and a sender too, as --smtp-addr and --mail-from")
	case c.SMTPUser != "" && c.SMTPPasswordFile == "":
		return errors.New("--smtp-user: want its password too, as --smtp-password-file")
	case c.SMTPUser != "" && c.SMTPSecurity == "none":
		return errors.New("--smtp-security none: a password is not sent in the clear; use starttls or tls")
	}
	return nil
}
