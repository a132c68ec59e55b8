package ffmpeg

// ParseProgress feeds ffmpeg's output in the pieces given and returns what is
// reported.
func ParseProgress(pieces ...string) []Progress {
	var got []Progress
	r := &progressReader{report: func(p Progress) { got = append(got, p) }}
	for _, piece := range pieces {
		_, _ = r.Write([]byte(piece))
	}
	return got
}

// ParseProbe is what parseProbe finds.
func ParseProbe(output []byte) (Media, error) {
	p, err := parseProbe(output)
	return p.media(), err
}
