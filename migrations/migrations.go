// Package migrations holds the database's schema: SQL files for Herald's own
// tables, and River's schema as a step among them.
package migrations

import "embed"

// Files are the SQL migrations, in goose's format.
//
//go:embed *.sql
var Files embed.FS

// QueueSchema is the schema of River's tables.
const QueueSchema = "herald_queue"
