package ffmpeg

import (
	"slices"
	"time"
)

// Preset is one way of processing a file.
type Preset struct {
	Name        string
	Title       string
	Description string
	Output      string // the name of the file to open, in the output's folder
	ContentType string
	Height      int           // of the picture, at most; 0: no picture
	Sound       bool          // the output holds sound, where there is some
	Folder      bool          // the output is a folder of files: HLS
	Longest     time.Duration // how much of the film is taken at most; 0: all of it
	CRF         Range         // what may be asked for as Options.CRF; the zero Range: nothing
	FPS         Range         // what may be asked for as Options.FPS; the zero Range: nothing
	codecs      []string      // and what else the output needs
	subtitles   string        // the codec of subtitles; empty where the output holds none
	palette     bool          // the picture has 256 colours
}

// Range is from the least to the most that may be asked for, and what is taken
// when nobody asks. A Default of 0 is what the film has.
type Range struct{ Min, Max, Default int }

// The ranges of the options. Less CRF is better and larger.
func crfH264() Range { return Range{Min: 14, Max: 40, Default: 22} }
func crfVP9() Range  { return Range{Min: 15, Max: 55, Default: 33} }
func anyFPS() Range  { return Range{Min: 1, Max: 60} }

func h264() []string {
	return []string{"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-profile:v", "high"}
}

func aac() []string { return []string{"-c:a", "aac", "-b:a", "160k", "-ac", "2"} }

// Presets returns every preset, as they are offered.
func Presets() []Preset {
	const gifTime = 10 * time.Second // all of its pictures are held in memory
	return []Preset{
		mp4("480p", "small", 480),
		mp4("720p", "a good size for most screens", 720),
		mp4("1080p", "sharp", 1080),
		mp4("2160p", "as sharp as 4K", 2160),
		{
			Name: "webm", Title: "WebM", Description: "Free codecs. VP9 and Opus, up to 720 lines; takes longer.",
			Output: "video.webm", ContentType: "video/webm", Height: 720, Sound: true, CRF: crfVP9(), FPS: anyFPS(), subtitles: "webvtt",
			codecs: []string{
				"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "6", "-row-mt", "1", "-b:v", "0",
				"-pix_fmt", "yuv420p", "-c:a", "libopus", "-b:a", "128k", "-ac", "2", "-f", "webm",
			},
		},
		{
			Name: "hls", Title: "HLS", Description: "For streaming: in several sizes up to 1080 lines, in pieces of four seconds.",
			Output: masterFile, ContentType: "application/vnd.apple.mpegurl", Height: 1080, Sound: true, Folder: true,
			CRF: crfH264(), FPS: anyFPS(), subtitles: "webvtt", codecs: slices.Concat(h264(), aac(), hlsMuxer()),
		},
		{
			Name: "audio", Title: "Audio only", Description: "The sound alone, as AAC.",
			Output: "audio.m4a", ContentType: "audio/mp4", Sound: true,
			codecs: []string{"-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "ipod"},
		},
		{
			Name: "gif", Title: "GIF", Description: "A silent preview of ten seconds at most, up to 270 lines.",
			Output: "preview.gif", ContentType: "image/gif", Height: 270, Longest: gifTime,
			FPS: Range{Min: 1, Max: 25, Default: 10}, palette: true, codecs: []string{"-f", "gif"},
		},
	}
}

func mp4(name, what string, lines int) Preset {
	return Preset{
		Name: "mp4-" + name, Title: "MP4 " + name, Description: "Plays everywhere; " + what + ". H.264 and AAC.",
		Output: "video.mp4", ContentType: "video/mp4", Height: lines, Sound: true, CRF: crfH264(), FPS: anyFPS(), subtitles: "mov_text",
		codecs: slices.Concat(h264(), aac(), []string{"-movflags", "+faststart", "-f", "mp4"}),
	}
}

// PresetByName returns the preset of the name.
func PresetByName(name string) (Preset, bool) {
	for _, p := range Presets() {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}
