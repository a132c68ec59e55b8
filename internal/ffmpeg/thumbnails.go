package ffmpeg

import (
	"context"
	"fmt"
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
	posterWidth  = 1280
)

// Thumbnails makes a poster and a strip in the folder.
func (t Tools) Thumbnails(ctx context.Context, m Media, input, folder string) (Strip, error) {
	quiet := func(Progress) {}
	poster := append(seek(m.Duration/10), untrusted()...)
	poster = append(poster, "-i", "file:"+input, "-map", "0:V:0", "-frames:v", "1", "-q:v", "3",
		"-vf", fmt.Sprintf("scale='min(%d,iw)':-2,setsar=1", posterWidth), PosterFile)
	if err := t.ffmpeg(ctx, folder, quiet, poster...); err != nil {
		return Strip{}, fmt.Errorf("make the poster: %w", err)
	}
	s := m.strip()
	rate := strconv.FormatFloat(1/s.Interval.Seconds(), 'f', 6, 64)
	strip := sparse(m.Duration)
	strip = append(append(strip, untrusted()...), "-i", "file:"+input, "-map", "0:V:0", "-frames:v", "1", "-q:v", "4",
		"-vf", fmt.Sprintf("fps=%s:round=up,scale=%d:%d,setsar=1,tile=%dx1", rate, s.Width, s.Height, s.Columns), StripFile)
	if err := t.ffmpeg(ctx, folder, quiet, strip...); err != nil {
		return Strip{}, fmt.Errorf("make the thumbnails: %w", err)
	}
	return s, nil
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
