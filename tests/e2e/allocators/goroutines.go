// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
//
// A Go program whose stacks grow and move while it allocates; its answer is known. It speaks the
// words of truth.h.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

//go:noinline
func deep(n int) int {
	var room [64]int
	room[n%64] = n
	if n == 0 {
		return 0
	}
	block := make([]byte, 100+n%100)
	block[0] = 1
	return deep(n-1) + int(block[0]) + room[n%64] - n
}

func main() {
	in := bufio.NewReader(os.Stdin)
	fmt.Printf("ready %d\n", os.Getpid())
	in.ReadString('\n')
	answers := make(chan int)
	for i := 0; i < 20; i++ {
		go func() {
			sum := 0
			for round := 0; round < 20; round++ {
				sum += deep(2000)
			}
			answers <- sum
		}()
	}
	sum := 0
	for i := 0; i < 20; i++ {
		sum += <-answers
		runtime.GC()
	}
	fmt.Printf("value sum %d\ndone\n", sum)
	in.ReadString('\n')
}
