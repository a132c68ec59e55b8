package ffmpeg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The names of the pictures that Thumbnails makes.
const (
	PosterFile = "poster.jpg"
	StripFile  = "thumbnails.jpg"
)

// Strip is a picture of several frames, evenly spaced, side by side.
type Strip struct {
	Columns  int           // how many frames
	Width    int           // of one frame
	Height   int           // of one frame
	Interval time.Duration // of the film between two frames
}

const (
	stripColumns = 10
	thumbWidth   = 160
	posterLines  = 720
)

// Thumbnails makes a poster and a strip in the folder.
func (t Tools) Thumbnails(ctx context.Context, m Media, input, folder string) (Strip, error) {
	width, height := m.fit(posterLines)
	look := fmt.Sprintf("scale=%d:%d,setsar=1", width, height)
	if err := t.picture(ctx, input, folder, PosterFile, look, seek(m.Duration/10)); err != nil {
		return Strip{}, fmt.Errorf("make the poster: %w", err)
	}
	s := m.strip()
	rate := strconv.FormatFloat(1/s.Interval.Seconds(), 'f', 6, 64)
	look = fmt.Sprintf("fps=%s:round=up,scale=%d:%d,setsar=1,tile=%dx1", rate, s.Width, s.Height, s.Columns)
	if err := t.picture(ctx, input, folder, StripFile, look, sparse(m.Duration)); err != nil {
		return Strip{}, fmt.Errorf("make the thumbnails: %w", err)
	}
	return s, nil
}

// picture makes one picture with the filter. The saving options spare work;
// where they leave nothing to be seen, the picture is made without them.
func (t Tools) picture(ctx context.Context, input, folder, file, filter string, saving []string) error {
	path := filepath.Join(folder, file)
	for _, options := range [][]string{saving, nil} {
		args := append(append(options, untrusted()...), threads()...)
		err := t.ffmpeg(ctx, folder, func(Progress) {}, append(args,
			"-i", "file:"+input, "-map", "0:V:0", "-vf", filter, "-frames:v", "1", "-q:v", "4", file)...)
		if err != nil {
			return err
		}
		if _, err := os.Stat(path); err == nil {
			return nil
		}
	}
	return ErrNothing
}

// strip lays the strip out: at most ten frames, at least a second apart.
func (m Media) strip() Strip {
	height := max(2, (thumbWidth*m.Height/max(m.Width, 1))&^1)
	columns := min(max(int(m.Duration/time.Second), 1), stripColumns)
	return Strip{
		Columns: columns, Width: thumbWidth, Height: min(height, 4*thumbWidth),
		Interval: max(m.Duration/time.Duration(columns), 100*time.Millisecond),
	}
}

// seek skips to a place in the input, when there is one to skip to.
func seek(to time.Duration) []string {
	if to <= 0 {
		return nil
	}
	return []string{"-ss", strconv.FormatFloat(to.Seconds(), 'f', 3, 64)}
}

// sparse makes ffmpeg decode key frames alone where there are plenty.
func sparse(duration time.Duration) []string {
	if duration < 2*time.Minute {
		return nil
	}
	return []string{"-skip_frame", "nokey"}
}
