// Command bench measures auditmesh beside what it is compared to, in one run, as
// ratios. It is a module of its own, so that nothing that it measures beside
// becomes a dependency of the product.
//
//	go run . commit [--rounds N] [--for D] [--json] [--check]
//	go run . log [--records N] [--rounds N] [--json] [--check]
//	go run . view [--records N] [--queries N] [--json] [--check]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

var commands = map[string]func(ctx context.Context, flags *flag.FlagSet, args []string) (result, error){
	"commit": commitCommand,
	"log":    logCommand,
	"view":   viewCommand,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (ok bool, err error) {
	if len(args) > 0 && args[0] == "child" {
		return true, child(ctx, args[1:])
	}
	if len(args) == 0 || commands[args[0]] == nil {
		return false, errors.New("usage: bench commit|log|view [flags]; --help after the command lists them")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print JSON")
	check := flags.Bool("check", false, "exit 1 if a bar is missed")
	r, err := commands[args[0]](ctx, flags, args[1:])
	if err != nil {
		return false, err
	}
	if err := r.print(os.Stdout, *asJSON); err != nil {
		return false, err
	}
	return !*check || r.ok(), nil
}
