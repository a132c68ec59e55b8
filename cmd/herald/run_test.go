package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"herald"
	"herald/heraldtest"
)

// fake is a Herald for the commands that talk to one.
func fake(t *testing.T) (s *heraldtest.Server, flags []string) {
	t.Helper()
	s = heraldtest.New()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	t.Cleanup(s.Interrupt)
	return s, []string{"--url", web.URL, "--token", "robot"}
}

func with(flags []string, command string, args ...string) []string {
	return append(append([]string{command}, flags...), args...)
}

func onlyJob(t *testing.T, s *heraldtest.Server) herald.Job {
	t.Helper()
	jobs := s.Jobs()
	if len(jobs) != 1 {
		t.Fatalf("%d jobs, want 1", len(jobs))
	}
	return jobs[0]
}

func TestRunPassesEverythingThrough(t *testing.T) {
	t.Parallel()
	s, flags := fake(t)
	status, stdout, stderr := program(t, with(flags, "run", "--title", "Nightly build", "--owner", "alice", "--metadata", "tenant=acme", "--",
		"sh", "-c", `printf 'one\ntwo\r\033[31mthree\033[0m\n'; echo oops >&2; test -n "$HERALD_JOB" && exit 7`)...)
	if status != 7 || stdout != "one\ntwo\r\033[31mthree\033[0m\n" || stderr != "oops\n" {
		t.Errorf("%d %q %q", status, stdout, stderr)
	}
	j := onlyJob(t, s)
	if j.State != herald.Failed || j.Title != "Nightly build" || j.Owner != "alice" || j.Metadata["tenant"] != "acme" ||
		!strings.HasPrefix(j.Error, "exit status 7\n") || !strings.Contains(j.Error, "three") || !strings.Contains(j.Error, "oops") {
		t.Errorf("the job is %+v", j)
	}
}

func TestRunTurnsOutputIntoProgress(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pattern, output string
		progress        float64
		message         string
	}{
		"a percentage": {`(\d+)%`, "begin\n 10% \n 42%\nnot this", 0.42, "not this"},
		"counts":       {`(\d+)/(\d+) files`, "3/8 files\n6/8 files\n", 0.75, ""},
		"no number":    {`done: (\S+)`, "done: nearly\n", 0, "done: nearly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, flags := fake(t)
			status, _, stderr := program(t, with(flags, "run", "--progress-regexp", tt.pattern, "--unit", "files", "--",
				"sh", "-c", `printf "$0"; exit 3`, strings.ReplaceAll(tt.output, "%", "%%"))...)
			if j := onlyJob(t, s); status != 3 || j.Progress != tt.progress || j.Message != tt.message {
				t.Errorf("%d %s: the job is %+v, want %v %q", status, stderr, j, tt.progress, tt.message)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no command": {"run"}, "no groups": {"run", "--progress-regexp", "x", "--", "true"},
		"no pattern": {"run", "--progress-regexp", "(", "--", "true"}, "no URL": {"run", "--url", "x", "--", "true"},
	} {
		if status, _, stderr := program(t, args...); status == 0 || stderr == "" {
			t.Errorf("%s: %d %q", name, status, stderr)
		}
	}
	s, flags := fake(t)
	if status, _, _ := program(t, with(flags, "run", "--", "/no/such/command")...); status != notFound {
		t.Errorf("a command that is not there: %d", status)
	}
	if j := onlyJob(t, s); j.State != herald.Failed {
		t.Errorf("the job is %+v", j)
	}
}

// Whatever Herald does, the command is run, and its exit status is the program's.
func TestRunWithoutAHerald(t *testing.T) {
	t.Parallel()
	marker := filepath.Join(t.TempDir(), "ran")
	status, stdout, stderr := program(t, "run", "--url", "http://127.0.0.1:1", "--", "sh", "-c", "echo hello; echo >"+marker+"; exit 5")
	if _, err := os.Stat(marker); err != nil || status != 5 || stdout != "hello\n" || !strings.Contains(stderr, "not reported on") {
		t.Errorf("%d %q %q %v", status, stdout, stderr, err)
	}
	if status, _, _ := program(t, "run", "--url", "http://127.0.0.1:1", "--", "true"); status != 0 {
		t.Errorf("true is %d", status)
	}
}

// An interrupt, such as a script's without a terminal, reaches what the command
// waits for.
func TestRunIsInterrupted(t *testing.T) {
	t.Parallel()
	s, flags := fake(t)
	program := exec.CommandContext(t.Context(), os.Args[0], with(flags, "run", "--", "sh", "-c", "echo ready; sleep 1000; echo on")...)
	program.Env = append(os.Environ(), asProgram+"=1")
	out := newTerminal()
	program.Stdout = out
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(out.String(), "ready") {
		<-out.changed
	}
	if err := program.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait()
	if status := program.ProcessState.ExitCode(); status != 128+int(syscall.SIGINT) || out.String() != "ready\n" {
		t.Errorf("exit status %d after %q, want the signal's", status, out.String())
	}
	if j := onlyJob(t, s); j.State != herald.Cancelled {
		t.Errorf("the job is %+v", j)
	}
}

// A cancel of the job, or an interrupt here, ends the command with all that it has
// started, and the job is cancelled.
func TestRunIsCancelled(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]func(t *testing.T, s *heraldtest.Server, interrupt func()){
		"there": func(t *testing.T, s *heraldtest.Server, _ func()) {
			t.Helper()
			if err := s.Cancel(s.Jobs()[0].ID); err != nil {
				t.Error(err)
			}
		},
		"here": func(_ *testing.T, _ *heraldtest.Server, interrupt func()) { interrupt() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, flags := fake(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out, stderr := newTerminal(), newTerminal()
			ended := make(chan int, 1)
			go func() {
				// The sleep holds the output open until it is told as well.
				ended <- run(ctx, with(flags, "run", "--", "sh", "-c", "trap 'exit 9' TERM; sleep 1000 & echo ready; wait"), nil, out, stderr)
			}()
			for !strings.Contains(out.String(), "ready") {
				<-out.changed
			}
			cancel(t, s, interrupt)
			if status := <-ended; status != 9 {
				t.Errorf("exit status %d %s, want the command's own", status, stderr)
			}
			if j := onlyJob(t, s); j.State != herald.Cancelled {
				t.Errorf("the job is %+v", j)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	s, flags := fake(t)
	r, _, err := s.Client("robot").StartJob(t.Context(), herald.NewJob{Kind: "test", Title: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	status, stdout, stderr := program(t, with(flags, "report", r.ID(), "--progress", "0.4", "--message", "hello", "--metadata", "a=b", "--details", `{"x":1}`)...)
	j, _ := s.Job(r.ID())
	if status != 0 || stdout != "" || stderr != "" || j.Progress != 0.4 || j.Message != "hello" || j.Metadata["a"] != "b" || string(j.Details) != `{"x":1}` {
		t.Errorf("%d %q %q, the job is %+v", status, stdout, stderr, j)
	}
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{r.ID(), "--progress", "2"}, 1, "progress"},
		{[]string{r.ID(), "--result", "{"}, 1, "--result"},
		{[]string{r.ID(), "--state", "dancing"}, usage, "--state"},
		{[]string{"0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e"}, 1, "no such job"},
		{[]string{r.ID(), "--state", "succeeded", "--result", `{"n":1}`}, 0, ""},
		{[]string{r.ID(), "--message", "more"}, 1, "too late"},
	} {
		if status, _, stderr := program(t, with(flags, "report", tt.args...)...); status != tt.status || !strings.Contains(stderr, tt.says) {
			t.Errorf("%v: %d %q, want %d %q", tt.args, status, stderr, tt.status, tt.says)
		}
	}
}

// What 'herald run' puts into the environment is what 'herald report' reads.
func TestReportKnowsItsJobFromTheEnvironment(t *testing.T) {
	s, flags := fake(t)
	r, _, err := s.Client("robot").StartJob(t.Context(), herald.NewJob{Kind: "test", Title: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	t.Setenv("HERALD_JOB", r.ID())
	t.Setenv("HERALD_ATTEMPT", "1")
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), with(flags, "report", "--step", "collect"), os.Environ(), &stdout, &stderr)
	if j, _ := s.Job(r.ID()); status != 0 || j.Step != "collect" {
		t.Errorf("%d %q, the job is %+v", status, &stderr, j)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	s, flags := fake(t)
	for _, title := range []string{"first", "second\x1b[31m"} {
		if _, err := s.Client("robot").CreateJob(t.Context(), herald.NewJob{Kind: "test", Title: title, External: true}); err != nil {
			t.Fatal(err)
		}
	}
	if status, stdout, stderr := program(t, with(flags, "jobs")...); status != 0 || strings.Count(stdout, "\n") != 3 || strings.Contains(stdout, "\x1b") {
		t.Errorf("%d %q %q, want a table", status, stdout, stderr)
	}
	status, stdout, _ := program(t, with(flags, "jobs", "--json", "--limit", "1", "--state", "active", "--kind", "test")...)
	var j herald.Job
	if err := json.Unmarshal([]byte(stdout), &j); err != nil || status != 0 || !strings.HasPrefix(j.Title, "second") {
		t.Errorf("%d %q %v, want the newest job", status, stdout, err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	for name, flag := range map[string]string{"text": "", "json": "--json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, flags := fake(t)
			r, _, err := s.Client("robot").StartJob(t.Context(), herald.NewJob{Kind: "test", Title: "followed"})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			args := with(flags, "tail", r.ID())
			if flag != "" {
				args = append(args, flag)
			}
			out := newTerminal()
			ended := make(chan int, 1)
			go func() { ended <- run(t.Context(), args, nil, out, newTerminal()) }()
			for !strings.Contains(out.String(), "followed") {
				<-out.changed
			}
			r.Message("halfway")
			if err := r.Succeed(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if status := <-ended; status != 0 || !strings.Contains(out.String(), "job.succeeded") || !strings.Contains(out.String(), "halfway") {
				t.Errorf("%d %s, want it to end with the job", status, out)
			}
		})
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := newBars(t.Context(), &out)
	j := herald.Job{ID: "j", Title: "drawn", State: herald.Running, Progress: 0.5, Message: "half\x1b[31m"}
	for range 200 {
		if err := b.job(j); err != nil {
			t.Fatal(err)
		}
	}
	j.State, j.Progress = herald.Succeeded, 1
	if err := b.job(j); err != nil {
		t.Fatal(err)
	}
	b.close()
	if text := out.String(); !strings.Contains(text, "drawn") || !strings.Contains(text, "100% succeeded") || strings.Contains(text, "half\x1b") {
		t.Errorf("drawn: %q", text)
	}
}
