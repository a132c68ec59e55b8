package config_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/internal/config"
)

func valid(t *testing.T) config.Config {
	t.Helper()
	return config.Config{Addr: "127.0.0.1:0", DataDir: t.TempDir(), Workers: 1, MaxUploadSize: 1}
}

func TestCompleteFillsIn(t *testing.T) {
	t.Parallel()
	c := valid(t)
	c.DatabaseURL = "postgres://db/herald"
	if err := c.Complete(); err != nil {
		t.Fatalf("Complete() = %v", err)
	}
	if want := filepath.Join(c.DataDir, "signing.key"); c.KeyFile != want {
		t.Errorf("KeyFile = %q, want %q", c.KeyFile, want)
	}
	if !strings.HasPrefix(c.BlobURL, "file://"+c.DataDir) {
		t.Errorf("BlobURL = %q, want a folder in %q", c.BlobURL, c.DataDir)
	}
	if c.DirectURL != c.DatabaseURL {
		t.Errorf("DirectURL = %q, want %q", c.DirectURL, c.DatabaseURL)
	}
}

func TestCompleteNamesTheSettingToChange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		harm func(*config.Config)
		want string
	}{
		{"no port", func(c *config.Config) { c.Addr = "localhost" }, "--addr"},
		{"no workers", func(c *config.Config) { c.Workers = 0 }, "--workers"},
		{"an age that has not begun", func(c *config.Config) { c.RetainAge = -1 }, "--retain-age"},
		{"a certificate without its key", func(c *config.Config) { c.TLSCert = "cert.pem" }, "--tls-key"},
		{"a key without its certificate", func(c *config.Config) { c.TLSKey = "key.pem" }, "--tls-cert"},
		{"fewer than no streams", func(c *config.Config) { c.MaxStreams = -1 }, "--max-streams -1"},
		{"fewer than no streams of a user", func(c *config.Config) { c.MaxStreamsPerUser = -1 }, "--max-streams-per-user"},
		{"fewer than no streams from an address", func(c *config.Config) { c.MaxStreamsPerAddress = -1 }, "--max-streams-per-address"},
		{"streams slower than never", func(c *config.Config) { c.MaxStreamRate = -1 }, "--max-stream-rate"},
		{"connections slower than never", func(c *config.Config) { c.MaxConnectionRate = -1 }, "--max-connection-rate"},
		{"a heart that races", func(c *config.Config) { c.Heartbeat = time.Millisecond }, "--heartbeat"},
		{"a heart that stops", func(c *config.Config) { c.Heartbeat = time.Hour }, "--heartbeat"},
		{"acks without end", func(c *config.Config) { c.AckInterval = 999 * time.Millisecond }, "--ack-interval"},
		{"acks before time", func(c *config.Config) { c.AckInterval = -time.Second }, "--ack-interval"},
		{"acks that nobody waits for", func(c *config.Config) { c.AckInterval = 2 * time.Hour }, "--ack-interval"},
		{"credentials in a URL", func(c *config.Config) { c.BlobURL = "s3://key:hunter2@bucket" }, "--blob-url: credentials have no place"},
		{"no URL", func(c *config.Config) { c.BlobURL = "s3://buck et" }, "--blob-url: it is not a URL"},
		{"threads without end", func(c *config.Config) { c.VideoThreads = 1000 }, "--video-threads"},
		{"a video that has no time", func(c *config.Config) { c.VideoTime = time.Millisecond }, "--video-time"},
		{"no upload", func(c *config.Config) { c.MaxUploadSize = 0 }, "--max-upload-size"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := valid(t)
			tt.harm(&c)
			if err := c.Complete(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Complete() = %v, want an error that names %s", err, tt.want)
			}
		})
	}
}

func TestCompleteTakesAckIntervals(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{0, time.Second, 10 * time.Second, time.Hour} {
		c := valid(t)
		c.AckInterval = interval
		if err := c.Complete(); err != nil || c.AckInterval != interval {
			t.Errorf("Complete() with AckInterval %v = %v, and it is %v", interval, err, c.AckInterval)
		}
	}
}

func TestScheme(t *testing.T) {
	t.Parallel()
	if got := new(config.Config).Scheme(); got != "http" {
		t.Errorf("Scheme() = %q without a certificate, want http", got)
	}
	if got := (&config.Config{TLSCert: "cert.pem", TLSKey: "key.pem"}).Scheme(); got != "https" {
		t.Errorf("Scheme() = %q with a certificate, want https", got)
	}
}

func TestCheckEnvironment(t *testing.T) {
	t.Parallel()
	known := []string{"HERALD_ADDR"}
	for _, tt := range []struct {
		environ []string
		wrong   string
	}{
		{environ: []string{"HERALD_ADDR=x", "PATH=/bin", "HERALD_TEST_DATABASE_URL=x", "HERALD_WEBHOOK_SECRET_SHOP=x", "DATABASE_URL=x"}},
		{environ: []string{"HERALD_ADRR=x"}, wrong: "HERALD_ADRR"},
	} {
		err := config.CheckEnvironment(tt.environ, known)
		if (err != nil) != (tt.wrong != "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("CheckEnvironment(%q) = %v, want an error about %q", tt.environ, err, tt.wrong)
		}
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Bytes{
		"0": 0, "17": 17, "17B": 17, "1 KiB": 1 << 10, "20GiB": 20 << 30, "1.5MiB": 3 << 19, "2MB": 2_000_000, "1tib": 1 << 40,
	} {
		var got config.Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("UnmarshalText(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestBytesRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "-1", "1XB", "MiB", "NaN", "1e30GiB", "9e18 TiB"} {
		var got config.Bytes
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q) = %v, want an error", text, got)
		}
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Age{
		"0": 0, "90d": 90 * 24 * config.Age(time.Hour), "0d": 0, "36h": 36 * config.Age(time.Hour), "1h30m": 90 * config.Age(time.Minute),
	} {
		var got config.Age
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("UnmarshalText(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "-1h", "90", "999999999d", "x"} {
		var got config.Age
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q) = %v, want an error", text, got)
		}
	}
}

func FuzzBytes(f *testing.F) {
	f.Add("20GiB")
	f.Fuzz(func(t *testing.T, text string) {
		var got config.Bytes
		if err := got.UnmarshalText([]byte(text)); err == nil && got < 0 {
			t.Errorf("UnmarshalText(%q) = %v, want no negative size", text, got)
		}
	})
}

func TestAbsentSettings(t *testing.T) {
	t.Parallel()
	good := config.Config{
		AbsentAfter: time.Hour, AbsentURL: "https://example.org/absent", AbsentSecret: "whsec_x", AbsentMailTo: "{user}@example.org",
		SMTPAddr: "mail.example.org:587", MailFrom: "herald@example.org", SMTPUser: "herald", SMTPPasswordFile: "/f", SMTPSecurity: "tls",
		PublicURL: "https://herald.example.org",
	}
	for name, change := range map[string]func(*config.Config){
		"":                     func(*config.Config) {},
		"--absent-after":       func(c *config.Config) { c.AbsentAfter = time.Second },
		"--absent-url":         func(c *config.Config) { c.AbsentURL, c.AbsentMailTo, c.AbsentSecret = "", "", "" },
		"HERALD_ABSENT_SECRET": func(c *config.Config) { c.AbsentSecret = "" },
		"--smtp-addr":          func(c *config.Config) { c.SMTPAddr = "" },
		"--mail-from":          func(c *config.Config) { c.MailFrom = "" },
		"--smtp-password-file": func(c *config.Config) { c.SMTPPasswordFile = "" },
		"--smtp-security":      func(c *config.Config) { c.SMTPSecurity = "none" },
		"--public-url":         func(c *config.Config) { c.PublicURL = "herald.example.org" },
	} {
		c := good
		c.DataDir, c.Addr, c.Workers, c.MaxUploadSize = t.TempDir(), "127.0.0.1:0", 1, 1
		change(&c)
		err := c.Complete()
		if name == "" && err != nil || name != "" && (err == nil || !strings.Contains(err.Error(), name)) {
			t.Errorf("%s: Complete() = %v", name, err)
		}
	}
}
