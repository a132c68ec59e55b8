package herald_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"herald"
	"herald/heraldtest"
)

// A whole job: it is made, does its work, and says how that ended.
func ExampleClient_Do() {
	server := heraldtest.New() // herald.New(herald.Config{URL: …, Token: …}) reaches a real one
	client := server.Client("builder")
	ctx := context.Background()

	files := []string{"a.go", "b.go"}
	err := client.Do(ctx, herald.NewJob{Kind: "build", Title: "Nightly build", Owner: "alice"},
		func(ctx context.Context, job *herald.Reporter) error {
			for i, file := range files {
				job.Message("compiling " + file)
				job.Count(int64(i+1), int64(len(files)), "files")
			}
			return ctx.Err()
		})
	fmt.Println(err)
	for _, j := range server.Jobs() {
		fmt.Println(j.Title, j.State, *j.Processed, j.Unit)
	}
	// Output:
	// <nil>
	// Nightly build succeeded 2 files
}

// Somebody cancels a job, and its worker hears of it by its context.
func ExampleClient_StartJob() {
	server := heraldtest.New()
	job, ctx, err := server.Client("builder").StartJob(context.Background(), herald.NewJob{Kind: "build", Title: "Nightly build"})
	if err != nil {
		log.Fatal(err)
	}
	defer job.Close()

	if err := server.Cancel(job.ID()); err != nil {
		log.Fatal(err)
	}
	<-ctx.Done()
	if errors.Is(context.Cause(ctx), herald.ErrCancelled) {
		fmt.Println("stopping:", context.Cause(ctx))
		err = job.Cancelled(ctx)
	}
	fmt.Println(err)
	// Output:
	// stopping: the job is to be cancelled
	// <nil>
}

// A worker takes a job that waits for one, with a plan of its steps.
func ExampleClient_Claim() {
	server := heraldtest.New()
	ctx := context.Background()
	waiting, err := server.Client("shop").CreateJob(ctx, herald.NewJob{
		Kind: "invoice", Title: "Invoice 7", Args: map[string]int{"order": 7}, External: true,
	})
	if err != nil {
		log.Fatal(err)
	}

	job, _, err := server.Client("worker").Claim(ctx, waiting.ID, "worker on host-3",
		herald.Step{Name: "render", Weight: 1}, herald.Step{Name: "send", Weight: 3})
	if err != nil {
		log.Fatal(err)
	}
	job.Step("render")
	job.Step("send")
	job.StepProgress(0.5)
	if err := job.Close(); err != nil {
		log.Fatal(err)
	}
	j, _ := server.Job(waiting.ID)
	fmt.Println(j.State, j.Step, j.Progress)
	// Output: running send 0.625
}

// Follow what happens to jobs, for as long as it takes.
func ExampleClient_Events() {
	server := heraldtest.New()
	client := server.Client("alice")
	var job herald.Job
	for e, err := range client.Events(context.Background(), "user:alice") {
		if err != nil {
			log.Fatal(err)
		}
		if e.Type == herald.StreamSnapshot { // the stream is live: what happens now is seen
			go func() {
				_ = client.Do(context.Background(), herald.NewJob{Kind: "build", Title: "Nightly build"},
					func(context.Context, *herald.Reporter) error { return nil })
			}()
			continue
		}
		if job, err = job.Apply(e); err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Seq, e.Type, job.Title)
		if job.State.Ended() {
			break
		}
	}
	// Output:
	// 1 job.queued Nightly build
	// 2 job.started Nightly build
	// 3 job.succeeded Nightly build
}

// What the server refuses can be told apart.
func ExampleError() {
	_, err := heraldtest.New().Client("alice").Job(context.Background(), "0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e")
	var refused *herald.Error
	if errors.Is(err, herald.ErrNotFound) && errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.Type)
	}
	// Output: 404 /problems/not-found
}
