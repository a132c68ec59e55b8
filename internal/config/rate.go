package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Rate is how often something may happen: so often a second, and so many at once.
// Its text is both with a slash, such as 200/2000; 0 is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// String is the rate's text.
func (r Rate) String() string {
	if r == (Rate{}) {
		return "0"
	}
	return strconv.FormatFloat(r.PerSecond, 'f', -1, 64) + "/" + strconv.Itoa(r.Burst)
}

// UnmarshalText reads a rate.
func (r *Rate) UnmarshalText(text []byte) error {
	if string(text) == "0" {
		*r = Rate{}
		return nil
	}
	const most = 10_000_000
	often, burst, ok := strings.Cut(string(text), "/")
	perSecond, err := strconv.ParseFloat(often, 64)
	atOnce, burstErr := strconv.Atoi(burst)
	if !ok || err != nil || burstErr != nil || !(perSecond > 0 && perSecond <= most) || atOnce < 1 || atOnce > most {
		return fmt.Errorf("%q is not a rate: want how often a second and how many at once, such as 200/2000, or 0 for no limit", text)
	}
	*r = Rate{perSecond, atOnce}
	return nil
}
