package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"herald/internal/config"
)

func TestProxies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"none": nil, "127.0.0.0/8,::1": {"127.0.0.0/8", "::1/128"}, "192.0.2.1": {"192.0.2.1/32"}, " 10.1.2.3/8 , fd00::/8 ": {"10.0.0.0/8", "fd00::/8"},
	} {
		var got config.Proxies
		var wanted config.Proxies
		for _, w := range want {
			wanted = append(wanted, netip.MustParsePrefix(w))
		}
		if err := got.UnmarshalText([]byte(text)); err != nil || !slices.Equal(got, wanted) {
			t.Errorf("UnmarshalText(%q) = %v, %v, want %v", text, got, err, wanted)
		}
	}
}

func TestProxiesRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "such as", "10.0.0.0/33": "such as", "10.0.0.1,": "such as", "proxy.example": "such as", "fe80::1%eth0": "such as", "10.0.0.1:80": "such as",
		"0.0.0.0/0": "everybody", "::/0": "everybody", "::ffff:10.0.0.1": "IPv4", "::ffff:10.0.0.0/104": "IPv4",
	} {
		var got config.Proxies
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("UnmarshalText(%q) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func FuzzProxies(f *testing.F) {
	f.Add("127.0.0.0/8,::1")
	f.Fuzz(func(t *testing.T, text string) {
		var got config.Proxies
		if got.UnmarshalText([]byte(text)) != nil {
			return
		}
		for _, p := range got {
			if !p.IsValid() || p.Bits() == 0 || p != p.Masked() {
				t.Errorf("UnmarshalText(%q) = %v, want networks", text, got)
			}
		}
	})
}
