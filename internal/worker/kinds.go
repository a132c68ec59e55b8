package worker

import (
	"encoding/json"

	"herald/internal/export"
	"herald/internal/ffmpeg"
)

// Kind describes a kind of job to those who start one.
type Kind struct {
	Name        string
	Title       string
	Description string
	Schema      json.RawMessage // of its args: JSON Schema 2020-12
	Steps       []StepTitle     // that its jobs may have, in order
}

// StepTitle is what people call a step.
type StepTitle struct{ Name, Title string }

// Kinds describes the kinds of job that Herald brings.
func Kinds() []Kind {
	return []Kind{
		{
			Name: VideoKind, Title: "Video", Description: "Converts a video, or its sound, to another form.", Schema: encode(videoSchema()),
			Steps: []StepTitle{
				{stepGenerate, "Make a test film"},
				{stepProbe, "Look into the file"},
				{stepTranscode, "Convert"},
				{stepThumbnails, "Make the pictures"},
				{stepStore, "Store the files"},
			},
		},
		{
			Name: ExportKind, Title: "Export", Description: "Writes a dataset to a file.", Schema: encode(exportSchema()),
			Steps: []StepTitle{{stepQuery, "Ask the database"}, {stepRows, "Write the rows"}, {stepStore, "Store the file"}},
		},
	}
}

// schema is a JSON Schema.
type schema map[string]any

// object is the schema of an object that has these members and no others.
func object(properties schema, required ...string) schema {
	s := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// encode is the schema as JSON, which it always can be.
func encode(s schema) json.RawMessage {
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return text
}

// videoSchema says what parseVideo takes. What an option may be depends on the
// preset, so each preset has a condition of its own.
func videoSchema() schema {
	seconds := func(title string) schema {
		return schema{"type": "number", "title": title, "minimum": 0, "maximum": ffmpeg.MaxTrim}
	}
	s := object(schema{
		"source": schema{"title": "Source", "oneOf": []schema{
			titled("An upload of yours", object(schema{"upload": schema{"type": "string", "format": "uuid"}}, "upload")),
			titled("A test film", object(schema{
				"test": object(schema{"seconds": schema{"type": "integer", "minimum": 1, "maximum": longestTest}}, "seconds"),
			}, "test")),
		}},
		"trim": titled("The part to take, in seconds", object(schema{"start": seconds("From"), "end": seconds("To")})),
		"fps":  schema{"type": "number", "title": "Frames a second"},
		"crf":  schema{"type": "integer", "title": "Quality", "description": "A constant rate factor: less is better, and larger."},
	}, "source", "preset")
	var presets, conditions []schema
	for _, p := range ffmpeg.Presets() {
		presets = append(presets, schema{"const": p.Name, "title": p.Title, "description": p.Description})
		conditions = append(conditions, schema{
			"if":   schema{"properties": schema{"preset": schema{"const": p.Name}}},
			"then": schema{"properties": schema{"fps": within(p.FPS), "crf": within(p.CRF)}},
		})
	}
	s["properties"].(schema)["preset"] = schema{"title": "Convert to", "oneOf": presets} //nolint:forcetypeassert // made above
	s["allOf"] = conditions
	return s
}

func titled(title string, s schema) schema {
	s["title"] = title
	return s
}

// offer is one of several values that may be chosen.
func offer[T ~string](value T, title, description string) schema {
	s := schema{"const": value, "title": title}
	if description != "" {
		s["description"] = description
	}
	return s
}

// within is the schema of a number in the range: false where there is none.
func within(r ffmpeg.Range) any {
	if r == (ffmpeg.Range{}) {
		return false
	}
	s := schema{"minimum": r.Min, "maximum": r.Max}
	if r.Default > 0 {
		s["default"] = r.Default
	}
	return s
}

// exportSchema says what parseExport takes. Which parameters there are depends on
// the dataset; the list of datasets has them.
func exportSchema() schema {
	return object(schema{
		"dataset": schema{"type": "string", "title": "What to export"},
		"params":  schema{"type": "object", "title": "Only some of it"},
		"format": schema{"title": "Format", "default": export.CSV, "oneOf": []schema{
			offer(export.CSV, "CSV", "A table for spreadsheets and databases."),
			offer(export.NDJSON, "NDJSON", "A JSON object a line, for programs."),
			offer(export.Parquet, "Parquet", "Typed columns, for analytics."),
		}},
		"compression": schema{"title": "Compression", "default": export.Plain, "oneOf": []schema{
			offer(export.Plain, "None", "The file as it is."),
			offer(export.Gzip, "gzip", "Smaller; opens everywhere."),
			offer(export.Zstd, "zstd", "Smaller and faster; needs a newer program."),
		}},
		"columns": schema{
			"title": "Columns", "description": "Which, and in which order. None chosen: all.", "type": "array", "items": schema{"type": "string"},
			"maxItems": maxColumns, "uniqueItems": true,
		},
		"time_zone": schema{"type": "string", "title": "Time zone", "description": "Such as Europe/Berlin: in it times are told.", "default": "UTC"},
		"csv": titled("Of CSV", object(schema{
			"header": schema{"type": "boolean", "title": "A first line with the columns' names", "default": true},
			"delimiter": schema{"title": "Between columns", "default": ",", "oneOf": []schema{
				offer(",", "Comma", ""), offer(";", "Semicolon", ""), offer("|", "Bar", ""), offer("\t", "Tab", ""),
			}},
			"safe": schema{
				"type": "boolean", "title": "Safe to open in a spreadsheet", "default": false,
				"description": "Puts an apostrophe before a text that a spreadsheet would take for a formula.",
			},
		})),
		"for": object(schema{"user": schema{"type": "string"}, "all": schema{"type": "boolean"}}, "user"),
	}, "dataset")
}
