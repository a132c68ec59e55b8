package export

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Dataset is a query that can be exported. Its SQL is an operator's, or ours; its
// parameters are bound, never put into the text.
type Dataset struct {
	Name        string
	Title       string
	Description string
	Roles       []string // who may export it
	Params      []Param  // $1, $2 and so on
	Timeout     time.Duration
	SQL         string
	Columns     []Column // of its rows; none before the database has read the query
}

// defaultTimeout bounds a dataset's query unless it says otherwise.
const (
	defaultTimeout = time.Hour
	longestTimeout = 24 * time.Hour
)

// Param returns the parameter of the name, if people may set it.
func (d *Dataset) Param(name string) (Param, bool) {
	i := slices.IndexFunc(d.Params, func(p Param) bool { return p.Name == name && p.Type != Owner })
	if i < 0 {
		return Param{}, false
	}
	return d.Params[i], true
}

// Texts returns the parameters' values in order, nil for NULL, for a query.
func (d *Dataset) Texts(q Query) []*string {
	texts := make([]*string, len(d.Params))
	for i, p := range d.Params {
		switch text, given := q.Params[p.Name]; {
		case p.Type == Owner:
			if q.Owner != "" {
				texts[i] = &q.Owner
			}
		case given:
			texts[i] = &text
		default:
			texts[i] = p.Default
		}
	}
	return texts
}

// LoadDatasets reads the datasets of a folder: its files NAME.sql. An error names
// the file and, where it can, the line.
func LoadDatasets(folder fs.FS) ([]Dataset, error) {
	files, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		if _, err := fs.ReadDir(folder, "."); err != nil {
			return nil, err
		}
	}
	var sets []Dataset
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		d, err := ParseDataset(strings.TrimSuffix(path.Base(file), ".sql"), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		sets = append(sets, d)
	}
	return sets, nil
}

var (
	namePattern   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	headerPattern = regexp.MustCompile(`^--\s*([a-z]+):\s*(.*)$`)
	numberPattern = regexp.MustCompile(`\$([0-9]+)`)
)

// ParseDataset reads a dataset out of an SQL file. The comments that it begins
// with declare it, each in a line: "-- title: …", "-- description: …",
// "-- roles: user, support", "-- timeout: 10m", and for each parameter, in the
// order of $1, $2, "-- param: NAME TYPE [required|default=VALUE] [in=A,B,C] DESCRIPTION".
func ParseDataset(name, text string) (Dataset, error) {
	d := Dataset{Name: name, Title: name, Timeout: defaultTimeout}
	if !namePattern.MatchString(name) {
		return d, fmt.Errorf("%q is not a dataset's name: want a-z, 0-9, _ and -, at most 63, a letter first", name)
	}
	number, query := 0, false
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if query = line != "" && !strings.HasPrefix(line, "--"); query {
			break
		}
		parts := headerPattern.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		if err := d.declare(parts[1], strings.TrimSpace(parts[2])); err != nil {
			return d, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if !query {
		return d, errors.New("there is no query")
	}
	d.SQL = strings.TrimRight(strings.TrimSpace(text), "; \t\r\n")
	return d, d.check()
}

func (d *Dataset) declare(key, value string) (err error) {
	switch key {
	case "title":
		d.Title = value
	case "description":
		d.Description = strings.TrimSpace(d.Description + " " + value)
	case "roles":
		for role := range strings.SplitSeq(value, ",") {
			d.Roles = append(d.Roles, strings.TrimSpace(role))
		}
	case "timeout":
		if d.Timeout, err = time.ParseDuration(value); err != nil || d.Timeout < time.Second || d.Timeout > longestTimeout {
			return fmt.Errorf("timeout %q: want 1s to 24h", value)
		}
	case "param":
		p, err := parseParam(value)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(d.Params, func(other Param) bool { return other.Name == p.Name }) {
			return fmt.Errorf("two parameters are called %q", p.Name)
		}
		d.Params = append(d.Params, p)
	default:
		return fmt.Errorf("%q is not known: want title, description, roles, timeout or param; a comment has no word and colon in front", key)
	}
	return nil
}

func (d *Dataset) check() error {
	known := []string{"user", "worker", "backend", "support", "admin"}
	if len(d.Roles) == 0 {
		return errors.New(`no line "-- roles: …" says who may export it`)
	}
	for _, role := range d.Roles {
		if !slices.Contains(known, role) {
			return fmt.Errorf("role %q: want some of %s", role, strings.Join(known, ", "))
		}
	}
	used := make(map[string]bool)
	for _, match := range numberPattern.FindAllStringSubmatch(d.SQL, -1) {
		used[match[1]] = true
	}
	for i, p := range d.Params {
		if !used[fmt.Sprint(i+1)] {
			return fmt.Errorf("parameter %s is $%d, which the query does not use", p.Name, i+1)
		}
	}
	return nil
}
