package ffmpeg

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// masterFile is the playlist to open: it names those of the renditions.
const masterFile = "index.m3u8"

// hlsMuxer are the options of the pieces. Their clock begins at nought, as that
// of the subtitles does.
func hlsMuxer() []string {
	return []string{
		"-force_key_frames", "expr:gte(t,n_forced*4)", "-muxdelay", "0", "-muxpreload", "0",
		"-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_flags", "independent_segments",
		"-hls_segment_filename", "v%v-%05d.ts", "-master_pl_name", masterFile,
	}
}

// rendition is the film in one size.
type rendition struct {
	width, height int
	rate          int // kbit/s of the picture, at most
}

// rungs are the usual sizes, in lines, and what they need in kbit/s.
func rungs() []struct{ lines, rate int } {
	return []struct{ lines, rate int }{{360, 900}, {480, 1600}, {720, 3200}, {1080, 6000}}
}

// ladder is the film in several sizes, the largest last: its own, as far as the
// preset goes, and those of the usual ones that are clearly smaller.
func (w Work) ladder() []rendition {
	const clearly = 0.8
	top := min(w.Media.lines(), float64(w.Preset.Height))
	var made []rendition
	for _, rung := range rungs() {
		lines := rung.lines
		last := float64(lines) > clearly*top
		if last {
			lines = w.Preset.Height
		}
		width, height := w.Media.fit(lines)
		made = append(made, rendition{width, height, rung.rate})
		if last {
			break
		}
	}
	return made
}

// ladderStreams are the tracks of all renditions, each with the sound.
func (w Work) ladderStreams() []string {
	ladder := w.ladder()
	split := fmt.Sprintf("[0:V:0]%ssplit=%d", w.rate(), len(ladder))
	var parts, looks, maps, variants []string
	for i, r := range ladder {
		parts = append(parts, fmt.Sprintf("[s%d]", i))
		looks = append(looks, fmt.Sprintf("[s%d]scale=%d:%d,setsar=1[v%d]", i, r.width, r.height, i))
		maps = append(maps, "-map", fmt.Sprintf("[v%d]", i), fmt.Sprintf("-maxrate:v:%d", i), kilo(r.rate), fmt.Sprintf("-bufsize:v:%d", i), kilo(2*r.rate))
		variant := fmt.Sprintf("v:%d", i)
		if w.Media.HasAudio {
			maps = append(maps, "-map", "0:a:0")
			variant += fmt.Sprintf(",a:%d", i)
		}
		variants = append(variants, variant)
	}
	args := []string{"-filter_complex", split + strings.Join(parts, "") + ";" + strings.Join(looks, ";")}
	args = append(append(args, clean()...), maps...)
	return append(append(args, asTheyCome()...), "-var_stream_map", strings.Join(variants, " "))
}

func kilo(n int) string { return strconv.Itoa(n) + "k" }

// ladderOutput is how the renditions are written.
func (w Work) ladderOutput() []string {
	return append(append(w.quality(), w.Preset.codecs...), "v%v.m3u8")
}

// ladderSubtitles are outputs of their own: a file for each track.
func (w Work) ladderSubtitles(subtitles []subtitle) []string {
	var args []string
	for i, s := range subtitles {
		args = append(append(args, clean()...), w.subtitle(s)...)
		args = append(args, "-f", "webvtt", fmt.Sprintf("subtitles-%d.vtt", i))
	}
	return args
}

// finishHLS enters the subtitles into the playlist that ffmpeg has written.
func (w Work) finishHLS(folder string, length time.Duration) error {
	subtitles, _ := w.subtitles()
	if len(subtitles) == 0 {
		return nil
	}
	var media strings.Builder
	for i, s := range subtitles {
		playlist := fmt.Sprintf("subtitles-%d.m3u8", i)
		fmt.Fprintf(&media, `#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME=%q,AUTOSELECT=YES,URI=%q`, s.name(i), playlist)
		if s.language != "" {
			fmt.Fprintf(&media, `,LANGUAGE=%q`, s.language)
		}
		media.WriteByte('\n')
		if err := os.WriteFile(filepath.Join(folder, playlist), subtitlePlaylist(i, length), 0o600); err != nil {
			return err
		}
	}
	path := filepath.Join(folder, masterFile)
	master, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, withSubtitles(string(master), media.String()), 0o600) //nolint:gosec // in the attempt's own folder
}

// withSubtitles makes each rendition of the playlist have the subtitles.
func withSubtitles(master, media string) []byte {
	const stream = "#EXT-X-STREAM-INF:"
	lines := strings.SplitAfter(master, "\n")
	entered := false
	for i, line := range lines {
		if !strings.HasPrefix(line, stream) {
			continue
		}
		lines[i] = strings.TrimRight(line, "\n") + `,SUBTITLES="subtitles"` + "\n"
		if !entered {
			lines[i], entered = media+lines[i], true
		}
	}
	return []byte(strings.Join(lines, ""))
}

// name is what people choose the track by.
func (s subtitle) name(i int) string {
	if s.language == "" {
		return fmt.Sprintf("Subtitles %d", i+1)
	}
	return fmt.Sprintf("Subtitles %d (%s)", i+1, s.language)
}

// subtitlePlaylist names a track's one file.
func subtitlePlaylist(i int, length time.Duration) []byte {
	return fmt.Appendf(nil, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"+
		"#EXTINF:%s,\nsubtitles-%d.vtt\n#EXT-X-ENDLIST\n", int(math.Ceil(length.Seconds())), decimal(length.Seconds()), i)
}
