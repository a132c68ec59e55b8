package job

import (
	"time"

	"herald/internal/event"
)

// Point is how far a job was at a moment, as an event of its attempt tells.
type Point struct {
	Seq      event.Seq `json:"seq"`
	Time     time.Time `json:"time"`
	Attempt  int       `json:"attempt"`
	Progress float64   `json:"progress"`
}
