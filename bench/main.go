// Command bench measures the built commands and prints ratios: machines are
// noisy, so every figure stands beside one that was taken in the same minute,
// in turn with it.
//
//	go run ./bench -bin bin
//
// It needs nothing but the built commands; peers are measured where they are
// installed. It asserts nothing.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the built commands")
	rounds := flag.Int("rounds", 300, "starts of each program")
	requests := flag.Int("requests", 20000, "requests of each load")
	only := flag.String("only", "", "start, load, hung or memory; all if empty")
	bare := flag.String("bare", "", "be the bare server on this socket (used by the command itself)")
	flag.Parse()
	if *bare != "" {
		fmt.Fprintln(os.Stderr, bareServer(*bare))
		os.Exit(1)
	}
	dir, err := filepath.Abs(*bin)
	if err == nil {
		err = bench(dir, *rounds, *requests, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(bin string, rounds, requests int, only string) error {
	w, err := newWorld(bin)
	if err != nil {
		return err
	}
	defer w.close()
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"start", func() error { return starts(w, rounds) }},
		{"load", func() error { return load(w, requests) }},
		{"hung", func() error { return hung(w) }},
		{"memory", func() error { return memory(w) }},
	} {
		if only != "" && only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
