// Package heraldriver makes the jobs of a program that uses River visible in
// Herald, on the database where Herald's schema lives. Once, when the program
// starts or when its schema is migrated:
//
//	err := heraldriver.Watch(ctx, pool, heraldriver.Config{Owner: "ops"})
//
// From then on triggers on River's table record every change of a job's state in
// the transaction that makes it, whoever makes it: a client, the rescuer, River's
// UI. The jobs need to know nothing of Herald, and River's batches stay batches.
//
// A worker that has more to say needs the middleware in its client's Config, and
// takes its reporter from the context:
//
//	Middleware: []rivertype.Middleware{heraldriver.NewMiddleware(pool, heraldriver.MiddlewareConfig{})}
//	...
//	heraldriver.FromContext(ctx).Count(done, total, "rows")
//
// [InsertTx] inserts a job with its owner and its title, and [CompleteTx]
// completes one with all that its worker has said, each in the transaction of the
// caller's own work. docs/river.md says what is recorded when, what it costs, and
// how to remove it again.
package heraldriver
