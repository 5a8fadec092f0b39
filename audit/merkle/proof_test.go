package merkle

import (
	"strings"
	"testing"
)

// What is no proof is told from one that does not hold, by the line that is wrong.
func TestParseProofSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "line 1 should be",
		"hello\n\nworld":                  "line 1 should be",
		proofMagic + "\n":                 "not a whole proof",
		proofMagic + "\nextra\n\nx":       "not a whole proof",
		proofMagic + "\nrecord x\ni\n\nx": "line 2 should be",
		proofMagic + "\nextra eA==\nindex x\n\nx":       "line 3",
		proofMagic + "\nextra eA==\nindex 0\n(no)\n\nx": `"(no)" is not a hash`,
	} {
		if _, err := ParseProof([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
