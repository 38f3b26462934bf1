// SPDX-License-Identifier: MIT

// A million items from one goroutine to another through a channel, on one processor: nanoseconds of
// processor time an item. Argument: the channel's capacity.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

const items = 1000000

func processorTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	runtime.GOMAXPROCS(1)
	capacity, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	queue := make(chan *int, capacity)
	item := new(int)
	start := processorTime()
	go func() {
		for i := 0; i < items; i++ {
			queue <- item
		}
	}()
	for i := 0; i < items; i++ {
		if <-queue != item {
			panic("another item")
		}
	}
	fmt.Println(float64(processorTime()-start) / items)
}
