package config

import (
	"fmt"
	"net/url"
	"strings"
)

// Origins are other sites, each by its scheme, host and port alone. Their text has
// commas between.
type Origins []string

// String is the origins' text.
func (o Origins) String() string { return strings.Join(o, ",") }

// UnmarshalText reads origins. There is no way to mean several sites by one: what
// is trusted is named.
func (o *Origins) UnmarshalText(text []byte) error {
	*o = nil
	for part := range strings.SplitSeq(string(text), ",") {
		origin := strings.ToLower(strings.TrimSpace(part))
		if origin == "" {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.Contains(u.Host, "*") {
			return fmt.Errorf("%q is not an origin: want one site's scheme and host, such as https://app.example.com", part)
		}
		*o = append(*o, origin)
	}
	return nil
}
