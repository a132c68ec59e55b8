package worker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/artifact"
	"herald/internal/job"
	"herald/internal/worker"
)

func TestCheckArgs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ kind, args, field string }{
		{"video", `{"source":{"test":{"seconds":20}},"preset":"hls"}`, ""},
		{"video", `{"source":{"upload":"0199c0de-0000-7000-8000-000000000000"},"preset":"audio"}`, ""},
		{"audit", `{}`, "kind"},
		{"video", ``, "args"},
		{"video", `[]`, "args"},
		{"video", `{"source":{"test":{"seconds":20}},"preset":"hls","priority":1}`, "args"},
		{"video", `{"source":{"upload":"../../etc/passwd"},"preset":"hls"}`, "args"},
		{"video", `{"source":{"test":{"seconds":20}}}`, "args.preset"},
		{"video", `{"source":{"test":{"seconds":20}},"preset":"dvd"}`, "args.preset"},
		{"video", `{"preset":"hls"}`, "args.source"},
		{"video", `{"source":{"upload":"0199c0de-0000-7000-8000-000000000000","test":{"seconds":20}},"preset":"hls"}`, "args.source"},
		{"video", `{"source":{"test":{"seconds":0}},"preset":"hls"}`, "args.source.test.seconds"},
		{"video", `{"source":{"test":{"seconds":601}},"preset":"hls"}`, "args.source.test.seconds"},
		{"video", `{"source":{"test":{"seconds":9}},"preset":"webm","trim":{"start":1.5,"end":4},"fps":24,"crf":40}`, ""},
		{"video", `{"source":{"test":{"seconds":9}},"preset":"webm","trim":{"start":-1}}`, "args.trim.start"},
		{"video", `{"source":{"test":{"seconds":9}},"preset":"webm","trim":{"start":4,"end":4}}`, "args.trim.end"},
		{"video", `{"source":{"test":{"seconds":9}},"preset":"webm","trim":{"from":4}}`, "args"},
		{"video", `{"source":{"test":{"seconds":9}},"preset":"webm","fps":0}`, "args.fps"},
		{"video", `{"source":{"test":{"seconds":9}},"preset":"webm","fps":"24"}`, "args"},
		{"video", `{"source":{"test":{"seconds":9}},"preset":"audio","crf":20}`, "args.crf"},
	} {
		err := worker.CheckArgs(tt.kind, json.RawMessage(tt.args))
		var invalid *job.InvalidError
		if field := ""; errors.As(err, &invalid) {
			field = invalid.Field
			if field != tt.field {
				t.Errorf("CheckArgs(%s, %s) blames %s, want %q", tt.kind, tt.args, err, tt.field)
			}
		} else if err != nil || tt.field != "" {
			t.Errorf("CheckArgs(%s, %s) = %v, want an *InvalidError for %q", tt.kind, tt.args, err, tt.field)
		}
	}
}

func TestQueueRefusesAnUnknownKind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.db.CreateJob(t.Context(), job.New{Kind: "audit", Owner: "demo", Title: "x"}, b.queue)
	var invalid *job.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != "kind" {
		t.Errorf("CreateJob() = %v, want an *InvalidError for kind", err)
	}
}

// result is what a video job's row says of its outcome.
type result struct {
	Duration  int64           `json:"duration_ms"`
	Width     int             `json:"width"`
	Height    int             `json:"height"`
	Artifacts []artifact.View `json:"artifacts"`
}

func TestVideo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		preset        string
		width, height int
		kinds         []string
		steps         []string
	}{
		{
			"mp4-720p", 1280, 720,
			[]string{"video", "poster", "thumbnails", "cues"},
			[]string{"generate", "probe", "transcode", "thumbnails", "store"},
		},
		{"hls", 1280, 720, []string{"hls", "poster", "thumbnails", "cues"}, []string{"generate", "probe", "transcode", "thumbnails", "store"}},
		{"gif", 480, 270, []string{"image", "poster", "thumbnails", "cues"}, []string{"generate", "probe", "transcode", "thumbnails", "store"}},
		{"audio", 0, 0, []string{"audio"}, []string{"generate", "probe", "transcode", "store"}},
	} {
		t.Run(tt.preset, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			stop := b.run(t, b.config("w"), noWork)
			j := b.create(t, "video", fmt.Sprintf(`{"source":{"test":{"seconds":2}},"preset":%q}`, tt.preset))
			j = b.awaitState(t, j.ID, job.Succeeded)
			checkState(t, j, job.Succeeded)
			stop()

			var steps []string
			for _, s := range j.Steps {
				steps = append(steps, s.Name)
				if s.StartedAt == nil || s.FinishedAt == nil {
					t.Errorf("step %s is not finished", s.Name)
				}
			}
			if diff := cmp.Diff(tt.steps, steps); diff != "" {
				t.Errorf("steps: -want +got:\n%s", diff)
			}
			var got result
			if err := json.Unmarshal(j.Result, &got); err != nil {
				t.Fatal(err)
			}
			if got.Width != tt.width || got.Height != tt.height || got.Duration < 1900 || got.Duration > 2200 {
				t.Errorf("the result is %dx%d, %d ms, want %dx%d, 2 s", got.Width, got.Height, got.Duration, tt.width, tt.height)
			}
			b.checkArtifacts(t, j, got.Artifacts, tt.kinds)
			b.checkProgress(t)
			if left := b.files(t); len(left) > 0 {
				t.Errorf("the work folder still holds %v", left)
			}
		})
	}
}

// checkArtifacts compares the artifacts of the job's result with those entered
// and with what is in the blob store, which must hold nothing else.
func (b *bench) checkArtifacts(t *testing.T, j job.Job, views []artifact.View, kinds []string) {
	t.Helper()
	entered, err := b.db.ArtifactsOfJob(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var enteredViews []artifact.View
	sizes := make(map[string]int64)
	for _, a := range entered {
		got = append(got, a.Kind)
		enteredViews = append(enteredViews, a.View())
		sizes[a.BlobKey] = a.Size
		if a.Owner != "demo" || a.Kind != artifact.HLS && len(a.SHA256) != 64 {
			t.Errorf("artifact %+v has a wrong owner or sum", a)
		}
	}
	if diff := cmp.Diff(kinds, got); diff != "" {
		t.Errorf("artifacts: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(asJSON(t, enteredViews), asJSON(t, views)); diff != "" {
		t.Errorf("the result's artifacts differ from those entered: -entered +result:\n%s", diff)
	}
	for _, key := range b.keys(t) {
		attributes, err := b.blobs.Attributes(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if folder, _, ok := strings.Cut(key, "/hls/"); ok {
			key = folder + "/hls/"
		}
		sizes[key] -= attributes.Size
	}
	for key, rest := range sizes {
		if rest != 0 {
			t.Errorf("%s: size entered less size stored is %d, want 0", key, rest)
		}
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkProgress reads all events and checks that no attempt's progress went
// back.
func (b *bench) checkProgress(t *testing.T) {
	t.Helper()
	rows, err := b.db.Pool().Query(t.Context(), `SELECT payload FROM herald.outbox ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	last, moves := make(map[int]float64), 0
	for rows.Next() {
		var payload []byte
		var moving job.Moving
		if err := rows.Scan(&payload); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(payload, &moving); err != nil {
			t.Fatal(err)
		}
		if moving.Progress < last[moving.Attempt] {
			t.Errorf("attempt %d went back from %v to %v", moving.Attempt, last[moving.Attempt], moving.Progress)
		}
		if moving.Progress > last[moving.Attempt] {
			moves++
		}
		last[moving.Attempt] = moving.Progress
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if moves < 4 {
		t.Errorf("progress moved %d times, want at least once a step", moves)
	}
}

// upload puts a file of demo's into the blob store and enters it.
func (b *bench) upload(t *testing.T, content []byte) artifact.Artifact {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	a := artifact.Artifact{
		ID: id, Owner: "demo", Kind: artifact.Upload, Name: "clip.mov", ContentType: "video/quicktime", Size: int64(len(content)),
		BlobKey: "uploads/" + id.String(), CreatedAt: time.Now(),
	}
	if err := b.blobs.WriteAll(t.Context(), a.BlobKey, content, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.db.SaveArtifact(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

func uploadArgs(id uuid.UUID) string { return uploadArgsWith(id, "") }

// uploadArgsWith are args with more of them, such as `,"fps":5`.
func uploadArgsWith(id uuid.UUID, more string) string {
	return fmt.Sprintf(`{"source":{"upload":%q},"preset":"mp4-720p"%s}`, id, more)
}

// film makes a film of a second with ffmpeg, and uploads it.
func (b *bench) film(t *testing.T, args ...string) artifact.Artifact {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.mkv")
	args = slices.Concat([]string{"-nostdin", "-loglevel", "error"}, args, []string{path})
	if out, err := exec.CommandContext(t.Context(), b.tools.FFmpeg, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b.upload(t, content)
}

// smallPicture and tone are what a small film is made of.
func smallPicture() []string {
	return []string{"-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=1"}
}

func tone() []string { return []string{"-f", "lavfi", "-i", "sine=duration=1"} }

func TestUploadedVideo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	upload := b.film(t, smallPicture()...)
	content, err := b.blobs.ReadAll(t.Context(), upload.BlobKey)
	if err != nil {
		t.Fatal(err)
	}
	stop := b.run(t, b.config("w"), noWork)
	j := b.awaitState(t, b.create(t, "video", uploadArgs(upload.ID)).ID, job.Succeeded)
	checkState(t, j, job.Succeeded)
	stop()
	made, err := b.db.ArtifactsOfJob(t.Context(), j.ID)
	if err != nil || len(made) != 4 || made[0].Name != "clip.mp4" {
		t.Fatalf("ArtifactsOfJob() = %+v, %v, want four files, the first called clip.mp4", made, err)
	}
	cues, err := b.blobs.ReadAll(t.Context(), made[3].BlobKey)
	if want := "\n../" + made[2].ID.String() + "/thumbnails.jpg#xywh=0,0,160,120\n"; err != nil || !strings.Contains(string(cues), want) {
		t.Errorf("the cues are %q, %v, want them to lead to the picture by %q", cues, err, want)
	}
	if still, err := b.blobs.ReadAll(t.Context(), upload.BlobKey); err != nil || string(still) != string(content) {
		t.Errorf("the upload has changed (%v)", err)
	}
}

// What would fail the same way again fails at once, says why, and leaves
// nothing behind.
func TestBadInputFailsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	others := b.upload(t, nil)
	if _, err := b.db.Pool().Exec(t.Context(), `UPDATE herald.artifacts SET owner = 'alice' WHERE id = $1`, others.ID); err != nil {
		t.Fatal(err)
	}
	lost := b.upload(t, nil)
	if err := b.blobs.Delete(t.Context(), lost.BlobKey); err != nil {
		t.Fatal(err)
	}
	stop := b.run(t, b.config("w"), noWork)
	for _, tt := range []struct{ name, args, says string }{
		{"not a video", uploadArgs(b.upload(t, []byte("This is not a video.")).ID), "Invalid data found when processing input."},
		{"a playlist", uploadArgs(b.upload(t, []byte("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n")).ID), "This kind of file is not taken."},
		{"an empty file", uploadArgs(b.upload(t, nil).ID), "Invalid data found when processing input."},
		{"another's file", uploadArgs(others.ID), "The uploaded file is not there."},
		{"no file", uploadArgs(uuid.New()), "The uploaded file is not there."},
		{"a file that was lost", uploadArgs(lost.ID), "The uploaded file is not there."},
		{"sound where a picture is wanted", uploadArgs(b.film(t, tone()...).ID), "The file has no picture: choose audio only."},
		{"a part that is not there", uploadArgsWith(b.film(t, smallPicture()...).ID, `,"trim":{"start":60}`), "Args.trim.start: 1m0s: the file lasts 1s."},
		{"an option that is not one", uploadArgsWith(others.ID, `,"crf":1`), "Args.crf: 1: want 14 to 40 for MP4 720p."},
		{"args from another time", `{"codec":"mpeg1"}`, `Args: json: unknown field "codec".`},
	} {
		j := b.awaitState(t, b.create(t, "video", tt.args).ID, job.Failed)
		if j.State != job.Failed || j.Attempt != 1 || !strings.Contains(strings.ToLower(j.Error), strings.ToLower(tt.says)) {
			t.Errorf("%s: the job is %s after attempt %d: %q, want it failed at once: %q", tt.name, j.State, j.Attempt, j.Error, tt.says)
		}
	}
	stop()
	if files := b.files(t); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestCancelEndsAVideoAndLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.run(t, b.config("w"), noWork)
	j := b.create(t, "video", `{"source":{"test":{"seconds":600}},"preset":"webm"}`)
	b.await(t, j.ID, "under way", func(j job.Job) bool { return j.Processed != nil && *j.Processed > 0 })
	asked := time.Now()
	if _, err := b.db.CancelJob(t.Context(), j.ID, "demo", b.queue); err != nil {
		t.Fatal(err)
	}
	j = b.awaitState(t, j.ID, job.Cancelled)
	checkState(t, j, job.Cancelled)
	t.Logf("cancelled %v after it was asked for", time.Since(asked))
	stop()
	if keys, files := b.keys(t), b.files(t); len(keys)+len(files) > 0 {
		t.Errorf("left behind: %v, %v", keys, files)
	}
}

// A limit is one of the whole site: another attempt would end the same way.
func TestLimitEndsAVideo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.config("w")
	c.Tools.Limits.Output = 1000
	stop := b.run(t, c, noWork)
	j := b.awaitState(t, b.create(t, "video", uploadArgs(b.film(t, smallPicture()...).ID)).ID, job.Failed)
	if j.State != job.Failed || j.Attempt != 1 || j.Error != "The output gets too large: more than 1 MB are not allowed." {
		t.Errorf("the job is %s after attempt %d: %q, want it failed for its size", j.State, j.Attempt, j.Error)
	}
	stop()
	if files := b.files(t); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}
