package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"auditmesh/audit/disk"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// LoadConfig reads the configuration of a data directory: the file at path, or
// config.toml in the directory if path is empty; that one may be absent. Each
// error says the line, the key, what is wrong and what to write.
func LoadConfig(dataDir, path string) (Config, error) {
	given := path != ""
	if !given {
		path = filepath.Join(dataDir, configName)
	}
	c := DefaultConfig(dataDir)
	raw, err := readRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !given:
	case err != nil:
		return c, fmt.Errorf("configuration: %w", err)
	}
	if err := c.read(raw); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// read takes over what a file says. All that is wrong is said at once.
func (c *Config) read(raw []byte) error {
	values, err := parse(raw)
	if err != nil {
		return err
	}
	lines := linesOf(raw)
	var wrong problems
	for _, v := range values {
		if err := c.set(v); err != nil {
			wrong.add(fmt.Errorf("%s%w", at(lines[v.key]), err))
		}
	}
	return wrong.err()
}

// set takes over one value.
func (c *Config) set(v value) error {
	for _, s := range settings {
		if s.key == v.key {
			if err := s.set(c, v.value); err != nil {
				return fmt.Errorf("%s: %w", v.key, err)
			}
			return nil
		}
	}
	if slices.Contains(tables, v.key) {
		return fmt.Errorf("%s is a table: write [%s], and its keys below", v.key, v.key)
	}
	hint := "; `auditmesh config check --help` lists the keys"
	if like := nearest(v.key); like != "" {
		hint = fmt.Sprintf(", which is perhaps %q", like) + hint
	}
	return fmt.Errorf("unknown key %q%s", v.key, hint)
}

// value is one key of the file, dotted, with what stands there.
type value struct {
	key   string
	value any
}

// parse reads the file into values, by key. It knows no setting, so its errors are
// those of the language alone.
func parse(raw []byte) ([]value, error) {
	var doc map[string]any
	if err := toml.Unmarshal(raw, &doc); err != nil {
		var decode *toml.DecodeError
		if errors.As(err, &decode) {
			row, column := decode.Position()
			return nil, fmt.Errorf("line %d, column %d: %s", row, column, strings.TrimPrefix(decode.Error(), "toml: "))
		}
		return nil, fmt.Errorf("not TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	var list []value
	flatten("", doc, &list)
	slices.SortFunc(list, func(a, b value) int { return strings.Compare(a.key, b.key) })
	return list, nil
}

// flatten lists the values of known tables under dotted keys.
func flatten(prefix string, table map[string]any, list *[]value) {
	for name, v := range table {
		key := prefix + name
		if inner, ok := v.(map[string]any); ok && slices.Contains(tables, key) {
			flatten(key+".", inner, list)
			continue
		}
		*list = append(*list, value{key, v})
	}
}

// linesOf says in which line each key, or table, is.
func linesOf(raw []byte) map[string]int {
	lines := make(map[string]int)
	var p unstable.Parser
	p.Reset(raw)
	prefix := ""
	for p.NextExpression() {
		e := p.Expression()
		var parts []string
		row := 0
		for it := e.Key(); it.Next(); {
			if row == 0 {
				row = p.Shape(it.Node().Raw).Start.Line
			}
			parts = append(parts, string(it.Node().Data))
		}
		key := strings.Join(parts, ".")
		if e.Kind == unstable.KeyValue {
			key = prefix + key
		} else {
			prefix = key + "."
		}
		if _, known := lines[key]; !known && key != "" {
			lines[key] = row
		}
	}
	return lines
}

func at(line int) string {
	if line == 0 { // in an inline table
		return ""
	}
	return fmt.Sprintf("line %d: ", line)
}

// problems gathers errors, so that all are said at once.
type problems struct{ list []string }

func (p *problems) add(err error) {
	if err != nil {
		p.list = append(p.list, err.Error())
	}
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return errors.New(strings.Join(p.list, "; "))
}

// nearest is the known key that is most like another, empty if none is.
func nearest(key string) string {
	best, least := "", 3 // so many letters may differ
	for _, s := range settings {
		if d := distance(key, s.key); d < least {
			best, least = s.key, d
		}
	}
	return best
}

// distance is how many letters must be changed, added or left out.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// maxConfigFile is far more than a configuration has.
const maxConfigFile = 1 << 20

// readRegular reads the file, which must be one: to read a pipe could last for ever.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return disk.ReadFile(disk.OS{}, path, maxConfigFile)
}
