// Package edgetest holds the tests of what stands between Herald's streams and
// those who read them: TLS and HTTP/2, the real nginx, and clients that others
// wrote; and of the real PgBouncer, which stands between Herald and Postgres. They
// start whole nodes on a real Postgres. It has nothing but tests.
package edgetest
