package event

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// CheckJSON says what is wrong with JSON that is to be kept. Beyond its syntax,
// each string in it must be a text that Postgres can read: an escaped NUL or
// half of a surrogate pair would be stored, and then make every query fail that
// looks into the row.
func CheckJSON(raw []byte) error {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return errors.New("not JSON")
	}
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			i++
			continue
		}
		size, err := escape(raw[i:])
		if err != nil {
			return err
		}
		i += size
	}
	return nil
}

// escape returns the length of the escape sequence, which may be a pair, that
// valid JSON begins with.
func escape(raw []byte) (int, error) {
	const single, unicode = len(`\n`), len(`\u0000`)
	if raw[1] != 'u' {
		return single, nil
	}
	switch unit := codeUnit(raw); {
	case unit == 0:
		return 0, errors.New(`contains the NUL character, \u0000`)
	case unit >= 0xd800 && unit < 0xdc00:
		if low := codeUnit(raw[unicode:]); low < 0xdc00 || low > 0xdfff {
			return 0, errors.New("contains half of a surrogate pair")
		}
		return 2 * unicode, nil
	case unit >= 0xdc00 && unit <= 0xdfff:
		return 0, errors.New("contains half of a surrogate pair")
	}
	return unicode, nil
}

// codeUnit reads the \uXXXX that raw begins with; -1 when it begins with
// something else.
func codeUnit(raw []byte) int64 {
	if len(raw) < len(`\u0000`) || raw[0] != '\\' || raw[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int64(unit)
}
