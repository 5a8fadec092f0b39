// Command bench measures auditmesh beside what it is compared to, in one run, as
// ratios. It is a module of its own, so that nothing that it measures beside
// becomes a dependency of the product.
//
//	go run . commit [-rounds N] [-for D] [-json] [-check]
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "commit" {
		fmt.Fprintln(os.Stderr, "usage: bench commit [-rounds N] [-for D] [-json] [-check]")
		os.Exit(2)
	}
	ok, err := commit(os.Args[2:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}
