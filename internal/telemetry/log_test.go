package telemetry_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"herald/internal/telemetry"
)

func TestNewLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "warn", "json")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("unheard")
	log.Warn("heard", "job", 7)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["msg"] != "heard" || line["job"] != 7.0 {
		t.Errorf("logged %q, want one line of JSON that says heard", out.String())
	}
}

func TestNewLoggerRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ level, format string }{{"loud", "text"}, {"info", "xml"}} {
		if _, err := telemetry.NewLogger(&bytes.Buffer{}, tt.level, tt.format); err == nil {
			t.Errorf("NewLogger(%q, %q) gave no error", tt.level, tt.format)
		}
	}
}
