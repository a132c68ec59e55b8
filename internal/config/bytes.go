package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size. Its text is a number with an optional unit: B, KiB, MiB,
// GiB, TiB, or the decimal kB, MB, GB, TB.
type Bytes int64

// String is the size's text, in the largest unit that it is a whole number of.
func (b Bytes) String() string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	at := 0
	for at < len(units)-1 && b != 0 && b%(1<<10) == 0 {
		b, at = b>>10, at+1
	}
	return strconv.FormatInt(int64(b), 10) + units[at]
}

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "BKMGTkmgtib ")
	unit, ok := unitOf(strings.TrimSpace(string(text[len(number):])))
	value, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || math.IsNaN(value) || value < 0 || value*unit >= math.MaxInt64 {
		return fmt.Errorf("%q is not a size: want a number with a unit, such as 500MiB or 20GiB", text)
	}
	*b = Bytes(value * unit)
	return nil
}

func unitOf(name string) (float64, bool) {
	switch strings.ToLower(name) {
	case "", "b":
		return 1, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	case "tb":
		return 1e12, true
	case "kib":
		return 1 << 10, true
	case "mib":
		return 1 << 20, true
	case "gib":
		return 1 << 30, true
	case "tib":
		return 1 << 40, true
	default:
		return 0, false
	}
}
