// SPDX-License-Identifier: MIT

// Two goroutines on one processor that hand a lock to each other: nanoseconds of processor time for
// each time it was taken. Argument: mutex, or semaphore (a channel of one place).
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
)

const rounds = 200000

func processorTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	runtime.GOMAXPROCS(1)
	var lock sync.Mutex
	permits := make(chan struct{}, 1)
	taken := 0
	take := func() {
		lock.Lock()
		taken++
		runtime.Gosched()
		lock.Unlock()
	}
	if os.Args[1] == "semaphore" {
		take = func() {
			permits <- struct{}{}
			taken++
			runtime.Gosched()
			<-permits
		}
	}
	var all sync.WaitGroup
	all.Add(2)
	start := processorTime()
	for i := 0; i < 2; i++ {
		go func() {
			for i := 0; i < rounds; i++ {
				take()
			}
			all.Done()
		}()
	}
	all.Wait()
	if taken != 2*rounds {
		panic("turns were lost")
	}
	fmt.Println(float64(processorTime()-start) / (2 * rounds))
}
