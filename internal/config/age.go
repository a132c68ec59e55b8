package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Age is a long time. Its text is a number of days, such as 90d, or what Go
// calls a duration, such as 36h.
type Age time.Duration

// String is the age's text.
func (a Age) String() string {
	const day = Age(24 * time.Hour)
	switch {
	case a == 0:
		return "0"
	case a%day == 0:
		return strconv.FormatInt(int64(a/day), 10) + "d"
	default:
		return time.Duration(a).String()
	}
}

// UnmarshalText reads an age.
func (a *Age) UnmarshalText(text []byte) error {
	const day, most = 24 * time.Hour, 100_000
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 32); err == nil && n <= most {
			*a = Age(n) * Age(day)
			return nil
		}
	} else if d, err := time.ParseDuration(string(text)); err == nil && d >= 0 {
		*a = Age(d)
		return nil
	}
	return fmt.Errorf("%q is not an age: want days or hours, such as 90d or 36h", text)
}
