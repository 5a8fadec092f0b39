package node

import (
	"fmt"
	"time"
)

// The kinds of values that a setting may have. Errors name TOML's types.

func text(of func(*Config) *string) func(*Config, any) error {
	return func(c *Config, v any) error {
		s, ok := v.(string)
		if !ok {
			return wanted("a text in quotes", v)
		}
		*of(c) = s
		return nil
	}
}

func texts(of func(*Config) *[]string) func(*Config, any) error {
	return func(c *Config, v any) error {
		list, ok := v.([]any)
		if !ok {
			return wanted(`a list of texts, such as ["…", "…"]`, v)
		}
		out := make([]string, len(list))
		for i, e := range list {
			if out[i], ok = e.(string); !ok {
				return wanted(`a list of texts, such as ["…", "…"]`, e)
			}
		}
		*of(c) = out
		return nil
	}
}

func number(of func(*Config) *int64) func(*Config, any) error {
	return func(c *Config, v any) error {
		n, ok := v.(int64)
		if !ok {
			return wanted("a whole number without quotes", v)
		}
		if n < 0 {
			return fmt.Errorf("%d is less than nothing", n)
		}
		*of(c) = n
		return nil
	}
}

func duration(of func(*Config) *Duration) func(*Config, any) error {
	return func(c *Config, v any) error {
		switch v := v.(type) {
		case string:
			d, err := ParseDuration(v)
			*of(c) = d
			return err
		case int64, float64:
			return fmt.Errorf("%v: %w", v, errNoUnit)
		}
		return wanted(`a duration in quotes, such as "90d"`, v)
	}
}

func wanted(what string, v any) error { return fmt.Errorf("%s is wanted, not %s", what, typeName(v)) }

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a text in quotes"
	case int64, float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return fmt.Sprintf("%v", v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a point in time"
	}
	return "a date or time of day"
}
