package ffmpeg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names of the pictures that Thumbnails makes.
const (
	PosterFile = "poster.jpg"
	SpriteFile = "thumbnails.jpg"
)

// Sprite is one picture of many frames, evenly spaced: row by row, from left to
// right.
type Sprite struct {
	Columns  int
	Rows     int
	Count    int           // how many frames; the rest of the last row is empty
	Width    int           // of one frame
	Height   int           // of one frame
	Interval time.Duration // of the film between two frames
	Length   time.Duration // of the film
}

const (
	spriteColumns = 10
	spriteFrames  = 60
	spriteWidth   = 160
	posterLines   = 720
)

// Thumbnails makes a poster and a sprite in the folder, of an output that is of
// the length.
func (t Tools) Thumbnails(ctx context.Context, w Work, length time.Duration, folder string) (Sprite, error) {
	start := w.Options.start()
	width, height := w.Media.fit(posterLines)
	look := fmt.Sprintf("scale=%d:%d,setsar=1", width, height)
	if err := t.picture(ctx, w, folder, PosterFile, look, part(start+length/10, 0)); err != nil {
		return Sprite{}, fmt.Errorf("make the poster: %w", err)
	}
	s := w.Media.sprite(length)
	rate := strconv.FormatFloat(1/s.Interval.Seconds(), 'f', 6, 64)
	look = fmt.Sprintf("fps=%s:start_time=0,scale=%d:%d,setsar=1,tile=%dx%d", rate, s.Width, s.Height, s.Columns, s.Rows)
	if err := t.picture(ctx, w, folder, SpriteFile, look, append(sparse(length), part(start, length)...)); err != nil {
		return Sprite{}, fmt.Errorf("make the thumbnails: %w", err)
	}
	return s, nil
}

// picture makes one picture with the filter. The saving options spare work;
// where they leave nothing to be seen, the picture is made without them.
func (t Tools) picture(ctx context.Context, w Work, folder, file, filter string, saving []string) error {
	path := filepath.Join(folder, file)
	for _, options := range [][]string{saving, nil} {
		args := slices.Concat(options, untrusted(), t.Limits.threads(),
			[]string{"-i", "file:" + w.Input, "-map", "0:V:0", "-vf", filter, "-frames:v", "1", "-q:v", "4", file})
		if err := t.ffmpeg(ctx, folder, func(Progress) {}, args...); err != nil {
			return err
		}
		if _, err := os.Stat(path); err == nil {
			return nil
		}
	}
	return ErrNothing
}

// sprite lays the sprite out: at most sixty frames, at least a second apart.
func (m Media) sprite(length time.Duration) Sprite {
	height := max(2, (spriteWidth*m.Height/max(m.Width, 1))&^1)
	count := min(max(int(length/time.Second), 1), spriteFrames)
	columns := min(count, spriteColumns)
	return Sprite{
		Columns: columns, Rows: (count + columns - 1) / columns, Count: count, Width: spriteWidth, Height: min(height, 4*spriteWidth),
		Interval: max(length/time.Duration(count), 100*time.Millisecond), Length: length,
	}
}

// sparse makes ffmpeg decode key frames alone where there are plenty.
func sparse(length time.Duration) []string {
	if length < 2*time.Minute {
		return nil
	}
	return []string{"-skip_frame", "nokey"}
}

// WebVTT says which part of the picture, which is at the address, shows what time
// of the film, in the form that players know.
func (s Sprite) WebVTT(address string) []byte {
	var text strings.Builder
	text.WriteString("WEBVTT\n")
	for i := range s.Count {
		from, to := time.Duration(i)*s.Interval, time.Duration(i+1)*s.Interval
		if i == s.Count-1 {
			to = max(s.Length, from+time.Millisecond)
		}
		fmt.Fprintf(&text, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", clock(from), clock(to), address,
			i%s.Columns*s.Width, i/s.Columns*s.Height, s.Width, s.Height)
	}
	return []byte(text.String())
}

// clock is a time as WebVTT has it.
func clock(t time.Duration) string {
	ms := t.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
