package ffmpeg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotMedia is returned for a file that ffprobe makes nothing of. The error
// that wraps it has what ffprobe said.
var ErrNotMedia = errors.New("the file is not a video or sound that can be processed")

// Media is what a file holds.
type Media struct {
	Duration time.Duration // 0 when it is not known
	HasVideo bool
	HasAudio bool
	Width    int // as it is to be shown: turned, and with square pixels
	Height   int
	FPS      float64 // 0 when it is not known
	Packets  int64   // about how many pictures; counted, and not 0, only where the duration is not known

	subtitles []subtitle
}

// subtitle is a track of subtitles.
type subtitle struct {
	index    int // among all tracks of the file
	text     bool
	language string // three letters; empty when it is not known
}

// frames is about how many pictures there are at the rate.
func frames(length time.Duration, fps float64) int64 {
	return int64(math.Round(length.Seconds() * fps))
}

// maxProbe bounds what ffprobe may print, in bytes.
const maxProbe = 1 << 20

// probeTime bounds how long ffprobe may take over a file.
const probeTime = 2 * time.Minute

// Probe looks into a file.
func (t Tools) Probe(ctx context.Context, path string) (Media, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTime, fmt.Errorf("%w: ffprobe found no end", ErrNotMedia))
	defer cancel()
	p, err := t.probe(ctx, path, "-show_format", "-show_streams")
	if err != nil {
		return Media{}, err
	}
	m := p.media()
	if !m.HasVideo && !m.HasAudio {
		return Media{}, fmt.Errorf("%w: there is neither picture nor sound in it", ErrNotMedia)
	}
	if m.Duration == 0 && m.HasVideo {
		m.Packets, err = t.count(ctx, path)
	}
	return m, err
}

// count reads the whole file and counts the packets of its picture.
func (t Tools) count(ctx context.Context, path string) (int64, error) {
	p, err := t.probe(ctx, path, "-select_streams", "V:0", "-count_packets", "-show_entries", "stream=nb_read_packets")
	if err != nil || len(p.Streams) == 0 {
		return 0, err
	}
	packets, err := strconv.ParseInt(p.Streams[0].Packets, 10, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // then there is no number
	}
	return max(packets, 0), nil
}

// probe runs ffprobe.
func (t Tools) probe(ctx context.Context, path string, show ...string) (probed, error) {
	args := slices.Concat([]string{"-v", "error", "-print_format", "json"}, show, untrusted(), []string{"-i", "file:" + path})
	out := &limited{limit: maxProbe}
	said, err := run(ctx, filepath.Dir(path), out, t.FFprobe, args...)
	switch exit := (*exec.ExitError)(nil); {
	case ctx.Err() != nil:
		return probed{}, err
	case errors.As(err, &exit) && exit.Exited():
		return probed{}, fmt.Errorf("%w: %w", ErrNotMedia, &Error{Program: "ffprobe", Said: explain(said, path), Err: err})
	case err != nil:
		return probed{}, failure("ffprobe", said, err)
	case strings.Contains(said, "exceeds specified max pixel count"):
		return probed{}, fmt.Errorf("%w: its picture is larger than %d megapixels", ErrNotMedia, maxPixels>>20)
	}
	p, err := parseProbe(out.Bytes())
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrNotMedia, err)
	}
	return p, nil
}

// explain puts ffprobe's words so that they mean something to the person who
// sent the file.
func explain(said, path string) string {
	said = strings.NewReplacer("file:"+path+": ", "", "file:"+path, "the file", path, "the file").Replace(said)
	if strings.Contains(said, "not on whitelist") {
		return "this kind of file is not taken"
	}
	return said
}

// limited is a buffer that takes no more than its limit.
type limited struct {
	bytes.Buffer
	limit int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.Len()+len(b) > l.limit {
		return 0, fmt.Errorf("more than %d bytes of output", l.limit)
	}
	return l.Buffer.Write(b)
}

// probed is what ffprobe prints, as far as it concerns us.
type probed struct {
	Format struct {
		Duration string `json:"duration"`
	} `json:"format"`
	Streams []probedStream `json:"streams"`
}

type probedStream struct {
	Index    int    `json:"index"`
	Type     string `json:"codec_type"`
	Codec    string `json:"codec_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Aspect   string `json:"sample_aspect_ratio"`
	Rate     string `json:"avg_frame_rate"`
	Duration string `json:"duration"`
	Packets  string `json:"nb_read_packets"`
	Tags     struct {
		Language string `json:"language"`
	} `json:"tags"`
	Disposition struct {
		AttachedPicture int `json:"attached_pic"`
	} `json:"disposition"`
	SideData []struct {
		Rotation float64 `json:"rotation"`
	} `json:"side_data_list"`
}

func parseProbe(output []byte) (probed, error) {
	var p probed
	if err := json.Unmarshal(output, &p); err != nil {
		return probed{}, fmt.Errorf("read what ffprobe says: %w", err)
	}
	return p, nil
}

func (p probed) media() Media {
	m := Media{Duration: seconds(p.Format.Duration)}
	for _, s := range p.Streams {
		switch {
		case s.Type == "audio" && s.Codec != "":
			m.HasAudio = true
		case s.Type == "video" && s.Codec != "" && s.Disposition.AttachedPicture == 0 && !m.HasVideo && s.Width > 0 && s.Height > 0:
			m.HasVideo = true
			m.Width, m.Height = s.shown()
			m.FPS = ratio(s.Rate, ':', '/')
		case s.Type == "subtitle":
			m.subtitles = append(m.subtitles, s.subtitle())
		}
		m.Duration = max(m.Duration, seconds(s.Duration))
	}
	return m
}

// language is how a file may name one.
var language = regexp.MustCompile(`^[a-z]{3}$`)

func (s probedStream) subtitle() subtitle {
	made := subtitle{index: s.Index}
	switch s.Codec {
	case "subrip", "ass", "ssa", "mov_text", "webvtt", "text":
		made.text = true
	}
	if language.MatchString(s.Tags.Language) && s.Tags.Language != "und" {
		made.language = s.Tags.Language
	}
	return made
}

// shown is the size of the picture when its pixels are square and it stands
// upright.
func (s probedStream) shown() (width, height int) {
	width, height = s.Width, s.Height
	if aspect := ratio(s.Aspect, ':', '/'); aspect > 0 && aspect < 100 {
		width = max(1, int(math.Round(float64(width)*aspect)))
	}
	for _, data := range s.SideData {
		if quarter := int(math.Round(math.Abs(data.Rotation) / 90)); quarter%2 == 1 {
			width, height = height, width
		}
	}
	return width, height
}

func seconds(text string) time.Duration {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s > 0 && s < 1e8) {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// ratio reads a ratio such as 30000/1001; 0 is none.
func ratio(text string, separators ...rune) float64 {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(string(separators), r) })
	if len(parts) != 2 {
		return 0
	}
	a, errA := strconv.ParseFloat(parts[0], 64)
	b, errB := strconv.ParseFloat(parts[1], 64)
	if errA != nil || errB != nil || !(a > 0 && b > 0) || math.IsInf(a/b, 0) {
		return 0
	}
	return a / b
}
