package worker_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"herald/internal/ffmpeg"
	"herald/internal/worker"
)

// bounds is the schema of a number: false, or a range.
type bounds struct{ Minimum, Maximum *int }

func (b *bounds) UnmarshalJSON(text []byte) error {
	if string(text) == "false" {
		return nil
	}
	type plain bounds
	return json.Unmarshal(text, (*plain)(b))
}

// videoSchema is what a form reads of the schema.
type videoSchema struct {
	Properties struct {
		Preset struct {
			OneOf []struct{ Const, Title, Description string }
		}
	}
	AllOf []struct {
		If struct {
			Properties struct{ Preset struct{ Const string } }
		}
		Then struct {
			Properties map[string]bounds
		}
	}
}

// What the schema of a video's args allows is taken, and what lies beyond is not.
func TestSchemaAgreesWithTheCheck(t *testing.T) {
	t.Parallel()
	var schema videoSchema
	for _, k := range worker.Kinds() {
		if !json.Valid(k.Schema) || k.Title == "" || len(k.Steps) == 0 {
			t.Errorf("the kind %s is not described", k.Name)
		}
		if k.Name == worker.VideoKind {
			if err := json.Unmarshal(k.Schema, &schema); err != nil {
				t.Fatal(err)
			}
		}
	}
	if offered := schema.Properties.Preset.OneOf; len(offered) != len(ffmpeg.Presets()) || len(schema.AllOf) != len(offered) {
		t.Fatalf("the schema offers %d presets, with %d conditions, want %d", len(offered), len(schema.AllOf), len(ffmpeg.Presets()))
	}
	for _, c := range schema.AllOf {
		preset := c.If.Properties.Preset.Const
		for name, b := range c.Then.Properties {
			values := map[int]bool{1: false, 20: false} // which is taken, when none may be asked for
			if b.Minimum != nil {
				values = map[int]bool{*b.Minimum - 1: false, *b.Minimum: true, *b.Maximum: true, *b.Maximum + 1: false}
			}
			for value, want := range values {
				args := fmt.Sprintf(`{"source":{"test":{"seconds":1}},"preset":%q,%q:%d}`, preset, name, value)
				if err := worker.CheckArgs(worker.VideoKind, json.RawMessage(args)); (err == nil) != want {
					t.Errorf("CheckArgs(%s) = %v, want it taken: %v", args, err, want)
				}
			}
		}
	}
}
