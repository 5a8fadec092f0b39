package event

import (
	"encoding/hex"
	"fmt"
)

// RequestID names one audited execution: 16 bytes, lower-case hex in text.
type RequestID [16]byte

// PartyID names an agent or a machine: 32 bytes, lower-case hex in text.
type PartyID [32]byte

func (id RequestID) String() string { return hex.EncodeToString(id[:]) }

func (id PartyID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes lower-case hex.
func (id RequestID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads exactly 32 lower-case hex digits.
func (id *RequestID) UnmarshalText(text []byte) error { return decodeHex(id[:], text) }

// MarshalText writes lower-case hex.
func (id PartyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads exactly 64 lower-case hex digits.
func (id *PartyID) UnmarshalText(text []byte) error { return decodeHex(id[:], text) }

// ParseRequestID reads 32 lower-case hex digits.
func ParseRequestID(s string) (id RequestID, err error) {
	err = id.UnmarshalText([]byte(s))
	return id, err
}

// ParsePartyID reads 64 lower-case hex digits.
func ParsePartyID(s string) (id PartyID, err error) {
	err = id.UnmarshalText([]byte(s))
	return id, err
}

// decodeHex is strict, since an identifier with two spellings would be two
// identifiers: the length is exact and upper case is refused.
func decodeHex(dst, text []byte) error {
	if len(text) != 2*len(dst) {
		return fmt.Errorf("want %d lower-case hex digits, got %d characters", 2*len(dst), len(text))
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("want lower-case hex digits, got %q", text)
		}
	}
	_, err := hex.Decode(dst, text)
	return err
}
