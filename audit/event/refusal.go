package event

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// place is where in a line a pointer points to: "argv/0".
func place(at jsontext.Pointer) string { return strings.TrimPrefix(string(at), "/") }

func missing(at jsontext.Pointer) error { return &FieldError{place(at), "is missing or null"} }

// fieldError turns the JSON package's errors into ours, which name the field.
func fieldError(err error) error {
	var ours *FieldError
	if errors.As(err, &ours) {
		return ours
	}
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		field := place(sem.JSONPointer)
		if field != "" {
			return &FieldError{field, wrongType(sem)}
		}
		return errors.New("is not a JSON object")
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		if errors.Is(syn.Err, jsontext.ErrDuplicateName) {
			return &FieldError{place(syn.JSONPointer), "is given twice"}
		}
		return fmt.Errorf("is not valid JSON at byte %d: %w", syn.ByteOffset, syn.Err)
	}
	return fmt.Errorf("is not valid JSON: %w", err)
}

// wrongType says what a field wants to be.
func wrongType(sem *json.SemanticError) string {
	got := strings.TrimSpace(string(sem.JSONValue))
	if got == "" {
		got = sem.JSONKind.String()
	}
	if len(got) > 40 {
		got = got[:40] + "…"
	}
	t := sem.GoType
	switch {
	case t == nil:
		return fmt.Sprintf("%s does not fit here", got)
	case t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler):
		if sem.Err != nil {
			return sem.Err.Error()
		}
		return fmt.Sprintf("%s is not a string of hex digits", got)
	case t == reflect.TypeFor[[]byte]():
		return fmt.Sprintf("%s is not base64", got)
	}
	switch t.Kind() {
	case reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("%s is not an unsigned integer of %d bits", got, t.Bits())
	case reflect.Int32:
		return fmt.Sprintf("%s is not an integer of %d bits", got, t.Bits())
	default:
		return fmt.Sprintf("%s is not a JSON %s", got, jsonTypes[t.Kind()])
	}
}

var unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

var jsonTypes = map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Slice: "array"}
