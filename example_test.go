package auditmesh_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"auditmesh"
	"auditmesh/audit"
)

// A program that embeds a node. Its directory is that of any node: while it runs,
// `auditmesh tasks --data-dir DIR` asks it.
func Example() {
	dir, err := os.MkdirTemp("", "node-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	ctx, stop := context.WithCancel(context.Background())
	n, err := auditmesh.Open(ctx, auditmesh.Options{DataDir: dir})
	if err != nil {
		panic(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()

	for _, version := range []string{"1.2.3", "1.2.4"} {
		at, err := n.Append(ctx, fmt.Appendf(nil, `{"event":"x-deploy","version":%q}`, version))
		if err != nil {
			panic(err)
		}
		fmt.Println("durable as record", at.Seq) // and it is on the disk
	}
	st, err := n.Status(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d records, trouble %q\n", st.Records, st.Trouble)

	stop()
	fmt.Println("ended:", errors.Join(<-ended, n.Close()))

	report, err := audit.Verify(dir+"/log/audit.jsonl", audit.VerifyOptions{SignedPath: dir + "/state/last-signed.json"})
	if err != nil {
		panic(err)
	}
	fmt.Println(report.Records, "records,", report.Signed, "signed, problems:", report.Problems)
	// Output:
	// durable as record 0
	// durable as record 1
	// 2 records, trouble ""
	// ended: <nil>
	// 2 records, 2 signed, problems: []
}
