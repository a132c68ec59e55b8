package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"herald/internal/config"
)

func TestRates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Rate{"0": {}, "200/2000": {PerSecond: 200, Burst: 2000}, "0.5/1": {PerSecond: 0.5, Burst: 1}} {
		var got config.Rate
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "200", "200/", "/200", "-1/2", "0/2", "1/0", "NaN/2", "Inf/2", "1e9/2", "1/2/3", "a/b"} {
		var got config.Rate
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a rate", bad)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	var got config.Origins
	err := got.UnmarshalText([]byte("https://App.example.com, http://localhost:5173,"))
	if diff := cmp.Diff(config.Origins{"https://app.example.com", "http://localhost:5173"}, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	for _, bad := range []string{"*", "https://*", "https://*.example.com", "example.com", "null", "https://example.com/", "https://a@example.com", "ftp://example.com", "https://example.com?x"} {
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}
