package merkle_test

import (
	"fmt"

	"auditmesh/audit/merkle"
)

// A proof, as `auditmesh proof 3` prints one.
const proof = `c2sp.org/tlog-proof@v1
extra eyJldmVudCI6InN0YXJ0ZWQiLCJ0c191bml4X21zIjoxLCJyZXF1ZXN0X2lkIjoiMDEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAiLCJwaWQiOjR9
index 3
0DKtf7UY+Nx4/fStXgdiPylJwlSm0BWvYAG0HsR+YXc=
HLamtdhV7e6WzWs+PzA7Mg+ss33DsY/Z66yg/wMA7iI=
Q1mInazQKwTIwZ2YI2cYISvlf+UdnKfw1fkMjM60Ibs=

auditmesh/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5/6ecca665340b41d6e1c85d1ec0a70adfe067917a24894905e74543e4ff4f5327
5
dlY4R3Cu5WugTGnPCVW9Xx60KDSz3DD0SgFt2KYNytg=

— auditmesh/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5 bDhIGqn+U7wIuLNsmwIhTO1WxmdMkx9OuhEj3frBcr5yHKfuATmnXdHxcTvqlh4OYfr7I4RGTt8ZUIbt7+FlsJsQRAo=
`

// A proof is checked with this package alone: no node, no files, no network. It
// holds for the node whose peer id it names, so compare that with the one that
// you know.
func ExampleParseProof() {
	p, err := merkle.ParseProof([]byte(proof))
	if err != nil {
		panic(err)
	}
	fmt.Printf("record %d of %d\n", p.Index, p.Checkpoint.Size)
	fmt.Println("of", p.Checkpoint.Log.Peer)
	fmt.Printf("%s\n", p.Line)
	// Output:
	// record 3 of 5
	// of 12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5
	// {"event":"started","ts_unix_ms":1,"request_id":"01000000000000000000000000000000","pid":4}
}
