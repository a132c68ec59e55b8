package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"herald/internal/httpapi"
)

// Another site's page: whether it may use the API, with a token and with our cookie.
func TestParity_22_OtherSites(t *testing.T) {
	t.Parallel()
	const friend, stranger = "https://app.example.com", "https://evil.example.com"
	open, closed := setup(t, func(d *httpapi.Deps) { d.Origins = []string{friend} }), setup(t)
	for _, tt := range []struct {
		name          string
		s             *server
		origin        string
		cookie        bool // instead of a token
		get, post     int
		mayRead, asks bool // the answer; whether it may ask before
	}{
		{"a friend with a token", open, friend, false, 200, 201, true, true},
		{"a friend with our cookie", open, friend, true, 401, 401, true, true},
		{"another port of a friend's", open, friend + ":8443", false, 200, 403, false, false},
		{"a stranger with a token", open, stranger, false, 200, 403, false, false},
		{"a stranger with our cookie", open, stranger, true, 401, 403, false, false},
		{"no origin at all", open, "null", true, 401, 403, false, false},
		{"a friend where there are none", closed, friend, false, 200, 403, false, false},
	} {
		token, headers := tt.s.token(t, "demo"), []string{"Origin: " + tt.origin}
		if tt.cookie {
			headers, token = append(headers, "Cookie: herald_session="+token), ""
		}
		get := tt.s.do(t, http.MethodGet, "/api/jobs", token, "", headers...)
		post := tt.s.do(t, http.MethodPost, "/api/jobs", token, `{"kind":"test","title":"x","args":{}}`, headers...)
		if get.status != tt.get || post.status != tt.post {
			t.Errorf("%s: GET and POST = %d and %d %s, want %d and %d", tt.name, get.status, post.status, post.body, tt.get, tt.post)
		}
		preflight := tt.s.do(t, http.MethodOptions, "/api/jobs", "", "", "Origin: "+tt.origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")
		for what, a := range map[string]answer{"GET": get, "OPTIONS": preflight} {
			allowed, want := a.header.Get("Access-Control-Allow-Origin"), ""
			if what == "GET" && tt.mayRead || what == "OPTIONS" && tt.asks {
				want = tt.origin
			}
			if allowed != want || a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %s allows %q with credentials %q, want %q without", tt.name, what, allowed, a.header.Get("Access-Control-Allow-Credentials"), want)
			}
		}
	}
	f := open.follow(t, open.token(t, "demo"), "", "Origin: "+friend)
	if got := f.res.Header.Get("Access-Control-Allow-Origin"); got != friend {
		t.Errorf("the stream allows %q, want %q", got, friend)
	}
}

// Our own page, by its cookie; and pages that make a browser send it.
func TestTheCookieIsForOurOwnPage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	cookie := "Cookie: herald_session=" + s.token(t, "demo")
	own := "Origin: http://" + strings.TrimPrefix(s.URL, "http://")
	for name, tt := range map[string]struct {
		headers []string
		want    int
	}{
		"our page":              {[]string{own, "Sec-Fetch-Site: same-origin"}, 201},
		"our page, old browser": {[]string{own}, 201},
		"a sibling's page":      {[]string{"Origin: http://other.test", "Sec-Fetch-Site: same-site"}, 403},
		"another site's form":   {[]string{"Origin: null", "Sec-Fetch-Site: cross-site"}, 403},
	} {
		if a := s.do(t, http.MethodPost, "/api/jobs", "", `{"kind":"test","title":"x","args":{}}`, append(tt.headers, cookie)...); a.status != tt.want {
			t.Errorf("%s: POST = %d %s, want %d", name, a.status, a.body, tt.want)
		}
	}
}
