// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// A server's shape in Go. requests MODE RATE [MOST], after MOST requests it is idle; map: a session of each request stays in a map; goroutines: one of each request waits
// for ever. Answers on stdout: "count", "collect" (collects, then as "count"), "settle"
// (gives what is free back to the kernel too). Its memory profile is linked only with requests_profile.go.
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"
)

var (
	sessions = map[int][]byte{}
	never    = make(chan int)
	sink     []byte
	requests int64
	kept     int64
)

//go:noinline
func makeGarbage(n int) {
	for i := 0; i < 10; i++ {
		sink = make([]byte, 1000+i)
	}
}

//go:noinline
func keepSession(n int) {
	session := make([]byte, 4000)
	session[0] = 1 // else nobody touches it
	sessions[n] = session
	atomic.AddInt64(&kept, 1)
}

func waitForReply() {
	var page [1500]byte

	atomic.AddInt64(&kept, 1)
	page[<-never%len(page)]++
}

func serve(mode string, rate int, most int) {
	begin := time.Now()
	for n := 0; n < most; n++ {
		makeGarbage(n)
		if mode == "map" {
			keepSession(n)
		} else {
			go waitForReply()
		}
		atomic.AddInt64(&requests, 1)
		time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second / time.Duration(rate))))
	}
}

func main() {
	rate, _ := strconv.Atoi(os.Args[2])
	most := math.MaxInt
	if len(os.Args) > 3 {
		most, _ = strconv.Atoi(os.Args[3])
	}
	go serve(os.Args[1], rate, most)
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "collect":
			runtime.GC()
		case "settle":
			debug.FreeOSMemory()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Printf("{\"requests\": %d, \"kept\": %d, \"collections\": %d, \"used\": %d, \"mapped\": %d}\n", atomic.LoadInt64(&requests),
			atomic.LoadInt64(&kept), m.NumGC, m.HeapAlloc, m.HeapSys-m.HeapReleased+m.StackSys)
	}
}
