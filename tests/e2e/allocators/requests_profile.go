// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
// What makes the linker keep Go's own memory profile (as net/http/pprof does); see requests.go. It is one collection old, so there are some.
package main

import (
	"runtime"
	"time"
)

func init() {
	runtime.MemProfileRate = 4096
	runtime.MemProfile(nil, true)
	go func() {
		for {
			time.Sleep(200 * time.Millisecond)
			runtime.GC()
		}
	}()
}
