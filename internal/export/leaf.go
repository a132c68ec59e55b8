package export

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
)

// leaf is how a column stands in Parquet.
type leaf struct {
	name  string
	node  parquet.Node
	parse func(text []byte) (parquet.Value, error) // nil: the text itself
}

// Decimals of so many digits fit into a number of 32 bits, of 64, and into 16
// bytes.
const (
	int32Digits = 9
	int64Digits = 18
	wideDigits  = 38
	wideBytes   = 16
)

func leafOf(c Column) leaf {
	l := leaf{name: c.Name}
	switch c.Kind {
	case Bool:
		l.node = parquet.Leaf(parquet.BooleanType)
		l.parse = func(text []byte) (parquet.Value, error) { return parquet.BooleanValue(string(text) == "t"), nil }
	case Int32:
		l.node, l.parse = parquet.Int(32), parseInt32
	case Int64:
		l.node, l.parse = parquet.Int(64), parseInt64
	case Float32:
		l.node, l.parse = parquet.Leaf(parquet.FloatType), parseFloat32
	case Float64:
		l.node, l.parse = parquet.Leaf(parquet.DoubleType), parseFloat64
	case Numeric:
		return decimalLeaf(c)
	case Timestamp:
		l.node, l.parse = parquet.TimestampAdjusted(parquet.Microsecond, true), parseTimestamp
	case LocalTimestamp:
		l.node, l.parse = parquet.TimestampAdjusted(parquet.Microsecond, false), parseTimestamp
	case Date:
		l.node, l.parse = parquet.Date(), parseDate
	case UUID:
		l.node, l.parse = parquet.UUID(), parseUUID
	case JSON:
		l.node = parquet.JSON()
	case Bytes:
		l.node, l.parse = parquet.Leaf(parquet.ByteArrayType), parseBytes
	case Text:
		l.node = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	}
	return l
}

// decimalLeaf is a DECIMAL where Parquet has one that is exact, else the text.
func decimalLeaf(c Column) leaf {
	l := leaf{name: c.Name, node: parquet.String()}
	switch {
	case c.Precision < 1 || c.Precision > wideDigits || c.Scale < 0 || c.Scale > c.Precision:
	case c.Precision <= int32Digits:
		l.node = parquet.Decimal(c.Scale, c.Precision, parquet.Int32Type)
		l.parse = unscaledBy(c.Scale, parseInt32)
	case c.Precision <= int64Digits:
		l.node = parquet.Decimal(c.Scale, c.Precision, parquet.Int64Type)
		l.parse = unscaledBy(c.Scale, parseInt64)
	default:
		l.node = parquet.Decimal(c.Scale, c.Precision, parquet.FixedLenByteArrayType(wideBytes))
		l.parse = func(text []byte) (parquet.Value, error) { return parseWide(text, c.Scale) }
	}
	return l
}

// noPlace says which value it is that has no place.
func noPlace(text []byte, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrValue, clip(string(text)))
}

// unscaled is a number's digits without the point, which has so many behind it.
func unscaled(text []byte, scale int) (string, error) {
	whole, fraction, _ := strings.Cut(string(text), ".")
	if len(fraction) != scale || whole == "NaN" || strings.HasSuffix(whole, "Infinity") {
		return "", noPlace(text, ErrValue)
	}
	return whole + fraction, nil
}

// unscaledBy reads a number's digits without its point.
func unscaledBy(scale int, parse func([]byte) (parquet.Value, error)) func([]byte) (parquet.Value, error) {
	return func(text []byte) (parquet.Value, error) {
		digits, err := unscaled(text, scale)
		if err != nil {
			return parquet.Value{}, err
		}
		return parse([]byte(digits))
	}
}

// parseWide reads a number into 16 bytes, the largest first, in two's complement.
func parseWide(text []byte, scale int) (parquet.Value, error) {
	digits, err := unscaled(text, scale)
	if err != nil {
		return parquet.Value{}, err
	}
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return parquet.Value{}, noPlace(text, ErrValue)
	}
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), 8*wideBytes))
	}
	return parquet.FixedLenByteArrayValue(n.FillBytes(make([]byte, wideBytes))), nil
}

func parseInt32(text []byte) (parquet.Value, error) {
	n, err := strconv.ParseInt(string(text), 10, 32)
	return parquet.Int32Value(int32(n)), noPlace(text, err)
}

func parseInt64(text []byte) (parquet.Value, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return parquet.Int64Value(n), noPlace(text, err)
}

func parseFloat32(text []byte) (parquet.Value, error) {
	n, err := strconv.ParseFloat(string(text), 32)
	return parquet.FloatValue(float32(n)), noPlace(text, err)
}

func parseFloat64(text []byte) (parquet.Value, error) {
	n, err := strconv.ParseFloat(string(text), 64)
	return parquet.DoubleValue(n), noPlace(text, err)
}

func parseUUID(text []byte) (parquet.Value, error) {
	id, err := uuid.ParseBytes(text)
	return parquet.FixedLenByteArrayValue(id[:]), noPlace(text, err)
}

// parseBytes reads \xDEADBEEF.
func parseBytes(text []byte) (parquet.Value, error) {
	digits, ok := strings.CutPrefix(string(text), `\x`)
	if !ok {
		return parquet.Value{}, noPlace(text, ErrValue)
	}
	b, err := hex.DecodeString(digits)
	return parquet.ByteArrayValue(b), noPlace(text, err)
}

func parseDate(text []byte) (parquet.Value, error) {
	t, rest, err := dateOf(string(text))
	days := t.Unix() / (24 * 60 * 60) // midnight, so nothing is rounded
	if err == nil && (rest != "" || days < math.MinInt32 || days > math.MaxInt32) {
		err = ErrValue
	}
	return parquet.Int32Value(int32(days)), noPlace(text, err)
}

// parseTimestamp reads "2026-03-01 12:00:00.123456+01" to the microsecond.
func parseTimestamp(text []byte) (parquet.Value, error) {
	t, clock, err := dateOf(string(text))
	if err != nil {
		return parquet.Value{}, noPlace(text, err)
	}
	layout := " 15:04:05"
	if at := strings.LastIndexAny(clock, "+-"); at >= 0 {
		layout += map[int]string{len("+01"): "-07", len("+01:00"): "-07:00", len("+01:00:00"): "-07:00:00"}[len(clock)-at]
	}
	c, err := time.Parse(layout, clock) // takes a fraction of a second too
	if err != nil {
		return parquet.Value{}, noPlace(text, err)
	}
	const lastYear = 294_000 // microseconds since 1970 fit up to there
	if t.Year() > lastYear {
		return parquet.Value{}, noPlace(text, ErrValue)
	}
	ofDay := c.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))
	return parquet.Int64Value(t.Unix()*1_000_000 + ofDay.Microseconds()), nil
}

// dateOf reads the date that a text begins with, and returns what is behind it.
// Years may have more digits than four, and those before Christ say so at the
// end.
func dateOf(text string) (midnight time.Time, rest string, err error) {
	text, before := strings.CutSuffix(text, " BC")
	date, clock, _ := strings.Cut(text, " ")
	if clock != "" {
		clock = " " + clock
	}
	parts := strings.SplitN(date, "-", 3)
	if len(parts) != 3 { // infinity
		return time.Time{}, "", ErrValue
	}
	var numbers [3]int
	for i, part := range parts {
		if numbers[i], err = strconv.Atoi(part); err != nil {
			return time.Time{}, "", ErrValue
		}
	}
	if before {
		numbers[0] = 1 - numbers[0]
	}
	return time.Date(numbers[0], time.Month(numbers[1]), numbers[2], 0, 0, 0, 0, time.UTC), clock, nil
}
