// Package logtest holds the tests of the log as a whole, on a real Postgres
// with sequencers that are processes of their own: a model test in which
// everything dies at random, a network that is cut, a backlog. It has nothing
// but tests.
//
// HERALD_TEST_SEED repeats what a failed run of the model test did by chance,
// as far as its processes are scheduled alike, and HERALD_TEST_SOAK makes it go
// on for that long, one seed after another.
package logtest
