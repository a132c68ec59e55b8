package config_test

import (
	"testing"

	"herald/internal/config"
)

func TestHide(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                                "",
		"127.0.0.1:8080":                                  "127.0.0.1:8080",
		"{user}@example.org":                              "{user}@example.org",
		"postgres://ann@db/herald":                        "postgres://ann@db/herald",
		"postgres://ann:pw@db/herald":                     "postgres://ann:(hidden)@db/herald",
		"postgres://ann:p@w/:#?%@db/herald":               "postgres://ann:(hidden)@db/herald",
		"postgres://:pw@db":                               "postgres://:(hidden)@db",
		"postgres://db/h?user=a&password=p&x=1":           "postgres://db/h?user=a&password=(hidden)&x=1",
		"postgres://db/h?sslpassword=p":                   "postgres://db/h?sslpassword=(hidden)",
		"host=db password=pw user=ann":                    "host=db password=(hidden) user=ann",
		`host=db password = 'p \' w' user=ann`:            "host=db password = (hidden) user=ann",
		"https://token@example.org/hook":                  "https://(hidden)@example.org/hook",
		"https://example.org/hook?access_token=abc&a=b":   "https://example.org/hook?access_token=(hidden)&a=b",
		"file:///data/blobs?create_dir=1&metadata=skip":   "file:///data/blobs?create_dir=1&metadata=skip",
		"dial postgres://a:b@db: no; dial http://c:d@e/f": "dial postgres://a:(hidden)@db: no; dial http://(hidden)@e/f",
	} {
		if got := config.Hide(text); got != want {
			t.Errorf("Hide(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"callback-secret": "(hidden)", "token": "(hidden)", "smtp-password": "(hidden)",
		"oidc-secret-file": "x", "smtp-password-file": "x", "key-file": "x",
	} {
		if got := config.Shown(name, "x"); got != want {
			t.Errorf("Shown(%s) = %q, want %q", name, got, want)
		}
	}
	if got := config.Shown("token", ""); got != "" {
		t.Errorf("Shown(token, nothing) = %q, want nothing", got)
	}
}

// What a setting's value is printed as is read as the same.
func TestTextsAreReadAsTheyArePrinted(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "90d", "36h0m0s"} {
		var a config.Age
		if err := a.UnmarshalText([]byte(text)); err != nil || a.String() != text {
			t.Errorf("age %s: %v, %v", text, a, err)
		}
	}
	for _, text := range []string{"0", "1", "1025", "20GiB", "512MiB", "3TiB"} {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b.String() != text {
			t.Errorf("size %s: %v, %v", text, b, err)
		}
	}
	for _, text := range []string{"0", "200/2000", "0.5/1"} {
		var r config.Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r.String() != text {
			t.Errorf("rate %s: %v, %v", text, r, err)
		}
	}
	for _, text := range []string{"none", "10.0.0.0/8,::1/128"} {
		var n config.Networks
		if err := n.UnmarshalText([]byte(text)); err != nil || n.String() != text {
			t.Errorf("networks %s: %v, %v", text, n, err)
		}
	}
	var o config.Origins
	if err := o.UnmarshalText([]byte("https://a.example,http://b.example:81")); err != nil || o.String() != "https://a.example,http://b.example:81" {
		t.Errorf("origins: %v, %v", o, err)
	}
}
