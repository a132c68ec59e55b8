// Package doctor looks at what Herald needs and says what is wrong and what to do
// about it. A check takes five seconds at most, and harms nothing that runs.
package doctor

import (
	"context"
	"fmt"
	"time"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // Herald works, but worse, or not for long
	Problem Level = "problem" // Herald does not start, or loses what it promises to keep
)

// Finding is what a check has found.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Found  string `json:"found"`            // what is so
	Advice string `json:"advice,omitempty"` // what to do about it
}

// Check is one look at one thing.
type Check struct {
	Name string
	Look func(ctx context.Context) Finding // need not name the check; the zero Finding is none
}

// Good is a finding that all is well.
func Good(format string, args ...any) Finding {
	return Finding{Level: OK, Found: fmt.Sprintf(format, args...)}
}

// Worse is a finding of something that is worse than it could be.
func Worse(advice, format string, args ...any) Finding {
	return Finding{Level: Warning, Found: fmt.Sprintf(format, args...), Advice: advice}
}

// Wrong is a finding of something that has to be put right.
func Wrong(advice, format string, args ...any) Finding {
	return Finding{Level: Problem, Found: fmt.Sprintf(format, args...), Advice: advice}
}

// LookTime bounds each check.
const LookTime = 5 * time.Second

// Run runs the checks one after the other and calls told with what each has found.
// It reports whether there was no problem.
func Run(ctx context.Context, checks []Check, told func(Finding)) bool {
	well := true
	for _, c := range checks {
		f := look(ctx, c)
		if f.Level == "" {
			continue
		}
		f.Check = c.Name
		well = well && f.Level != Problem
		told(f)
	}
	return well
}

// look runs one check. One that does not heed its context, such as a read from a
// disk that hangs, is left behind: the program is about to end.
func look(ctx context.Context, c Check) Finding {
	ctx, cancel := context.WithTimeout(ctx, LookTime)
	defer cancel()
	found := make(chan Finding, 1)
	go func() { found <- c.Look(ctx) }()
	select {
	case f := <-found:
		return f
	case <-ctx.Done():
	}
	select {
	case f := <-found: // it has noticed the end, and knows more about it
		return f
	case <-time.After(LookTime / 10):
		return Wrong("see whether what it looks at hangs, such as a network disk", "there was no answer within %v", LookTime)
	}
}
