package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"herald/internal/artifact"
	"herald/internal/ffmpeg"
	"herald/internal/job"
)

// VideoKind is the kind of job that processes a video.
const VideoKind = "video"

// longestTest is the longest test film, in seconds.
const longestTest = 600

var errNoInput = errors.New("the uploaded file is not there")

// videoArgs are the args of a video job.
type videoArgs struct {
	Source struct {
		Upload uploadID `json:"upload"` // an artifact of the owner's
		Test   *struct {
			Seconds int `json:"seconds"`
		} `json:"test"` // or a film that is made for the purpose
	} `json:"source"`
	Preset string       `json:"preset"`
	Trim   *ffmpeg.Trim `json:"trim,omitempty"`
	FPS    *float64     `json:"fps,omitempty"`
	CRF    *int         `json:"crf,omitempty"`
}

func (a videoArgs) options() ffmpeg.Options {
	return ffmpeg.Options{Trim: a.Trim, FPS: a.FPS, CRF: a.CRF}
}

// uploadID is an upload's id. It is taken in one spelling alone, by which the
// database finds the jobs that use an upload.
type uploadID struct{ uuid.UUID }

// UnmarshalText reads the id.
func (u *uploadID) UnmarshalText(text []byte) (err error) {
	if u.UUID, err = uuid.ParseBytes(text); err == nil && u.String() != string(text) {
		err = fmt.Errorf("write the upload's id as %s", u.UUID)
	}
	return err
}

// parseVideo reads args and checks them. Its error is an *job.InvalidError.
func parseVideo(args json.RawMessage) (videoArgs, error) {
	var a videoArgs
	decoder := json.NewDecoder(bytes.NewReader(args))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		return a, &job.InvalidError{Field: "args", Reason: err.Error()}
	}
	preset, ok := ffmpeg.PresetByName(a.Preset)
	if !ok {
		var names []string
		for _, p := range ffmpeg.Presets() {
			names = append(names, p.Name)
		}
		return a, &job.InvalidError{Field: "args.preset", Reason: fmt.Sprintf("%q is none: want %s", a.Preset, strings.Join(names, ", "))}
	}
	switch test := a.Source.Test; {
	case (test == nil) == (a.Source.Upload.UUID == uuid.Nil):
		return a, &job.InvalidError{Field: "args.source", Reason: "name an upload or ask for a test film, one of the two"}
	case test != nil && (test.Seconds < 1 || test.Seconds > longestTest):
		return a, &job.InvalidError{Field: "args.source.test.seconds", Reason: fmt.Sprintf("%d: want 1 to %d", test.Seconds, longestTest)}
	}
	return a, refusal(a.options().Check(preset))
}

// refusal is the error of an option as one of args.
func refusal(err error) error {
	if option, ok := errors.AsType[*ffmpeg.OptionError](err); ok {
		return &job.InvalidError{Field: "args." + option.Option, Reason: option.Reason}
	}
	return err
}

// The steps of a video job.
const (
	stepGenerate   = "generate"
	stepProbe      = "probe"
	stepTranscode  = "transcode"
	stepThumbnails = "thumbnails"
	stepStore      = "store"
)

// video processes videos.
type video struct {
	store Store
	blobs *blob.Bucket
	tools ffmpeg.Tools
}

func (*video) plan(args json.RawMessage) ([]job.Step, error) {
	a, err := parseVideo(args)
	if err != nil {
		return nil, err
	}
	var plan []job.Step
	if a.Source.Test != nil {
		plan = append(plan, job.Step{Name: stepGenerate, Weight: 20})
	}
	plan = append(plan, job.Step{Name: stepProbe, Weight: 2}, job.Step{Name: stepTranscode, Weight: 88})
	if preset, _ := ffmpeg.PresetByName(a.Preset); preset.Height > 0 {
		plan = append(plan, job.Step{Name: stepThumbnails, Weight: 7})
	}
	return append(plan, job.Step{Name: stepStore, Weight: 3}), nil
}

// film is a video job under way.
type film struct {
	*video
	task
	args   videoArgs
	order  ffmpeg.Work
	output string        // folder of the output
	length time.Duration // of the output
	sprite ffmpeg.Sprite
}

func (v *video) work(ctx context.Context, t task) (product, error) {
	args, err := parseVideo(t.job.Args)
	if err != nil {
		return product{}, err
	}
	preset, _ := ffmpeg.PresetByName(args.Preset)
	f := &film{
		video: v, task: t, args: args, output: filepath.Join(t.folder, "output"),
		order: ffmpeg.Work{Preset: preset, Options: args.options(), Input: filepath.Join(t.folder, "input")},
	}
	if err := os.Mkdir(f.output, 0o700); err != nil {
		return product{}, err
	}
	for _, step := range []func(context.Context) error{f.fetch, f.probe, f.transcode, f.thumbnails} {
		if err := step(ctx); err != nil {
			return product{}, refusal(err)
		}
	}
	return f.keep(ctx)
}

// follow turns ffmpeg's progress into the job's, for an output of the length, or
// of so many frames. Where neither is known, it says how much is done, and no
// share.
func (f *film) follow(length time.Duration, frames int64) func(ffmpeg.Progress) {
	return func(p ffmpeg.Progress) {
		var r job.Report
		if share := p.Share(length); length > 0 {
			r.StepProgress = &share
		} else if frames > 0 {
			share = min(float64(p.Frame)/float64(frames), 1)
			r.StepProgress = &share
		}
		if left, known := p.Remaining(length); known {
			r.Remaining = &left
		}
		if p.Frame > 0 {
			r.Processed, r.Unit = &p.Frame, "frames"
			if frames > 0 {
				total := max(frames, p.Frame)
				r.Total = &total
			}
		}
		if p.Speed > 0 {
			r.Details = fmt.Appendf(nil, `{"fps":%.1f,"speed":%.2f}`, p.FPS, p.Speed)
		}
		f.attempt.Progress(r)
	}
}

// fetch brings the input into the folder: a copy of the upload, or a film that
// is made now.
func (f *film) fetch(ctx context.Context) error {
	if test := f.args.Source.Test; test != nil {
		if err := enter(ctx, f.attempt, stepGenerate); err != nil {
			return err
		}
		length := time.Duration(test.Seconds) * time.Second
		const testRate = 30
		return f.tools.MakeTest(ctx, length, f.order.Input, f.follow(length, int64(test.Seconds)*testRate))
	}
	if err := enter(ctx, f.attempt, stepProbe); err != nil {
		return err
	}
	upload, err := f.store.Artifact(ctx, f.args.Source.Upload.UUID)
	switch {
	case err == nil && !upload.ExpiredAt.IsZero() && upload.Owner == f.job.Owner:
		return fmt.Errorf("%w: it was kept for a while only", errNoInput)
	case errors.Is(err, artifact.ErrNotFound), err == nil && upload.Owner != f.job.Owner:
		return errNoInput
	case err != nil:
		return err
	}
	if err := f.tools.Limits.Room(f.folder, upload.Size); err != nil {
		return err
	}
	err = getUpload(ctx, f.blobs, upload, f.order.Input)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return errNoInput
	}
	return err
}

func (f *film) probe(ctx context.Context) (err error) {
	if err := enter(ctx, f.attempt, stepProbe); err != nil {
		return err
	}
	if f.order.Media, err = f.tools.Probe(ctx, f.order.Input); err != nil {
		return err
	}
	return f.order.Check()
}

func (f *film) transcode(ctx context.Context) (err error) {
	if err := enter(ctx, f.attempt, stepTranscode); err != nil {
		return err
	}
	if left := f.order.Left(); left != "" {
		f.attempt.Progress(job.Report{Message: left})
	}
	f.length, err = f.tools.Transcode(ctx, f.order, f.output, f.follow(f.order.Length(), f.order.Frames()))
	return err
}

func (f *film) thumbnails(ctx context.Context) (err error) {
	if f.order.Preset.Height == 0 {
		return nil
	}
	if err := enter(ctx, f.attempt, stepThumbnails); err != nil {
		return err
	}
	f.sprite, err = f.tools.Thumbnails(ctx, f.order, f.length, f.folder)
	return err
}

// keep puts the output into the blob store. Nobody can get at it before the
// job's success is recorded.
func (f *film) keep(ctx context.Context) (product, error) {
	if err := enter(ctx, f.attempt, stepStore); err != nil {
		return product{}, err
	}
	preset, keep := f.order.Preset, f.keepFile
	if preset.Folder {
		keep = f.keepFolder
	}
	main, err := keep(ctx, f.artifact(f.kind(), f.fileName(), preset.ContentType), filepath.Join(f.output, preset.Output))
	if err != nil {
		return product{}, err
	}
	made := product{artifacts: []artifact.Artifact{main}}
	if preset.Height > 0 {
		pictures, err := f.keepPictures(ctx)
		if err != nil {
			return product{}, err
		}
		made.artifacts = append(made.artifacts, pictures...)
	}
	made.result, err = f.result(made.artifacts)
	return made, err
}

// cuesFile says what the sprite shows.
const cuesFile = "thumbnails.vtt"

// keepPictures keeps the poster, the sprite, and the text that says what it shows.
func (f *film) keepPictures(ctx context.Context) ([]artifact.Artifact, error) {
	const picture = "image/jpeg"
	poster, sprite := f.artifact(artifact.Poster, ffmpeg.PosterFile, picture), f.artifact(artifact.Thumbnails, ffmpeg.SpriteFile, picture)
	sprite.Details = fmt.Appendf(nil, `{"columns":%d,"rows":%d,"count":%d,"width":%d,"height":%d,"interval_ms":%d}`,
		f.sprite.Columns, f.sprite.Rows, f.sprite.Count, f.sprite.Width, f.sprite.Height, f.sprite.Interval.Milliseconds())
	address := "../" + sprite.ID.String() + "/" + sprite.Name // as seen from the text's own address
	if err := os.WriteFile(filepath.Join(f.folder, cuesFile), f.sprite.WebVTT(address), 0o600); err != nil {
		return nil, err
	}
	made := []artifact.Artifact{poster, sprite, f.artifact(artifact.Cues, cuesFile, "text/vtt")}
	for i, a := range made {
		kept, err := f.keepFile(ctx, a, filepath.Join(f.folder, a.Name))
		if err != nil {
			return nil, err
		}
		made[i] = kept
	}
	return made, nil
}

func (f *film) kind() string {
	switch preset := f.order.Preset; {
	case preset.Folder:
		return artifact.HLS
	case preset.Height == 0:
		return artifact.Audio
	case !preset.Sound:
		return artifact.Image
	default:
		return artifact.Video
	}
}

// fileName is what the output is called when somebody saves it: the job's title
// with the output's extension.
func (f *film) fileName() string {
	output := f.order.Preset.Output
	if f.order.Preset.Folder {
		return output
	}
	const longest = 120
	name := strings.TrimSuffix(f.job.Title, filepath.Ext(f.job.Title))
	name = strings.Trim(strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '-'
		}
		return r
	}, name), ". ")
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "")
	}
	if name == "" {
		return output
	}
	return name + filepath.Ext(output)
}

func (f *film) artifact(kind, name, contentType string) artifact.Artifact {
	return artifact.Artifact{
		ID: uuid.Must(uuid.NewV7()), JobID: f.job.ID, Owner: f.job.Owner, Kind: kind, Name: name, ContentType: contentType,
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

// keepFile keeps the file at the path as the artifact.
func (f *film) keepFile(ctx context.Context, a artifact.Artifact, path string) (artifact.Artifact, error) {
	a.BlobKey = prefix(f.job) + filepath.Base(path)
	var err error
	a.Size, a.SHA256, err = putFile(ctx, f.blobs, a.BlobKey, path)
	return a, err
}

// keepFolder keeps all files beside the one at the path.
func (f *film) keepFolder(ctx context.Context, a artifact.Artifact, path string) (artifact.Artifact, error) {
	a.BlobKey = prefix(f.job) + a.Kind + "/"
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return a, err
	}
	for i, file := range files {
		size, _, err := putFile(ctx, f.blobs, a.BlobKey+file.Name(), filepath.Join(filepath.Dir(path), file.Name()))
		if err != nil {
			return a, err
		}
		a.Size += size
		share := float64(i+1) / float64(len(files))
		f.attempt.Progress(job.Report{StepProgress: &share})
	}
	return a, nil
}

// result is what the job's row says of the outcome.
func (f *film) result(made []artifact.Artifact) (json.RawMessage, error) {
	width, height := f.order.Size()
	views := make([]artifact.View, len(made))
	for i, a := range made {
		views[i] = a.View()
	}
	return json.Marshal(struct {
		DurationMS int64           `json:"duration_ms"`
		Width      int             `json:"width"`
		Height     int             `json:"height"`
		Notes      string          `json:"notes,omitempty"` // what of the film is not in it
		Artifacts  []artifact.View `json:"artifacts"`
	}{f.length.Milliseconds(), width, height, f.order.Left(), views})
}
