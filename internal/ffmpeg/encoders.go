package ffmpeg

import (
	"bytes"
	"context"
	"slices"
	"strings"
)

// Version is what ffmpeg calls itself, such as 5.1.6.
func (t Tools) Version(ctx context.Context) (string, error) {
	var out bytes.Buffer
	if said, err := run(ctx, "/", &out, t.FFmpeg, "-hide_banner", "-version"); err != nil {
		return "", failure("ffmpeg", said, err)
	}
	words := strings.Fields(out.String()) // ffmpeg version 5.1.6 …
	const at = 2
	if len(words) <= at {
		return "", &Error{Program: "ffmpeg", Said: "it does not say its version"}
	}
	return words[at], nil
}

// MissingEncoders lists what the presets need and this ffmpeg cannot make.
func (t Tools) MissingEncoders(ctx context.Context) ([]string, error) {
	var out bytes.Buffer
	if said, err := run(ctx, "/", &out, t.FFmpeg, "-hide_banner", "-encoders"); err != nil {
		return nil, failure("ffmpeg", said, err)
	}
	var there []string
	for line := range strings.Lines(out.String()) { //  V....D libx264   libx264 H.264 …
		if words := strings.Fields(line); len(words) > 1 {
			there = append(there, words[1])
		}
	}
	return slices.DeleteFunc(encoders(), func(name string) bool { return slices.Contains(there, name) }), nil
}

// encoders are those that the presets name, and those of pictures besides.
func encoders() []string {
	need := []string{"gif", "mjpeg"}
	for _, p := range Presets() {
		if p.subtitles != "" {
			need = append(need, p.subtitles)
		}
		for i, arg := range p.codecs[:len(p.codecs)-1] {
			if arg == "-c:v" || arg == "-c:a" {
				need = append(need, p.codecs[i+1])
			}
		}
	}
	slices.Sort(need)
	return slices.Compact(need)
}
