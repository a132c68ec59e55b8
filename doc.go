// Package herald is the client of a Herald server: it makes jobs visible, from
// wherever they run, and reads what happens to them. It needs nothing but the
// standard library.
//
// A worker that runs a job by itself says so in a few lines:
//
//	client, err := herald.New(herald.Config{URL: "https://herald.example", Token: token})
//	...
//	err = client.Do(ctx, herald.NewJob{Kind: "build", Title: "Nightly build"},
//		func(ctx context.Context, job *herald.Reporter) error {
//			for i, file := range files {
//				job.Count(int64(i), int64(len(files)), "files")
//				if err := compile(ctx, file); err != nil {
//					return err
//				}
//			}
//			return nil
//		})
//
// Those who follow the job's topic, its owner's, or a watcher's see it at once.
// When one of them cancels it, the function's context ends.
//
// # Reporting
//
// [Client.StartJob] and [Client.Claim] give a [Reporter], whose calls for progress
// take note and return at once. What comes faster than the pace is merged, and
// the last is never lost; a step is never merged away, and a job's end never
// waits. A server that is away for a while is waited for.
//
// # Reading
//
// [Client.Events] follows topics, for as long as the caller wants: it resumes by
// itself where it was, and gives each event once.
//
// # Errors
//
// What the server refuses is an [*Error], which matches ErrNotFound and its
// like by errors.Is. Calls are repeated while that may help, under an
// idempotency key, so that a repeat never doubles anything.
//
// Package heraldtest has a server for tests, in memory.
package herald
