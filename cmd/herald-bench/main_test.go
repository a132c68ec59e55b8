package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 4, 2, 3}
	for share, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(values, share); got != want {
			t.Errorf("quantile(%v) = %v, want %v", share, got, want)
		}
	}
	if values[0] != 5 {
		t.Error("quantile sorted what it was given")
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing = %v, want 0", got)
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	figures := []figure{{"report_ratio_16", 0.875, "of plain"}, {"idle_latency_p50_ms", 0.9, "ms"}}
	var text, object bytes.Buffer
	if err := (output{}).show(&text, figures); err != nil || !strings.Contains(text.String(), "report_ratio_16") {
		t.Errorf("show() = %q, %v", text.String(), err)
	}
	if err := (output{JSON: true}).show(&object, figures); err != nil {
		t.Fatal(err)
	}
	var got map[string]float64
	if err := json.Unmarshal(object.Bytes(), &got); err != nil || got["report_ratio_16"] != 0.875 || len(got) != 2 {
		t.Errorf("show() = %s, %v, want both figures", object.String(), err)
	}
}
