// SPDX-License-Identifier: MIT

// What a million goroutines cost: to start and wait for ("spawn", nanoseconds each), asleep
// ("sleep", resident bytes each). On one thread, as a loop of ours is.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

func residentBytes() float64 {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "VmRSS:") {
			kib, _ := strconv.Atoi(strings.Fields(lines.Text())[1])
			return float64(kib) * 1024
		}
	}
	panic("no VmRSS")
}

func spawn(n int) float64 {
	var all sync.WaitGroup
	sum := 0
	start := time.Now()
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			sum++
			all.Done()
		}()
	}
	all.Wait()
	if sum != n {
		panic("goroutines were lost")
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func sleep(n int) float64 {
	before := residentBytes()
	for i := 0; i < n; i++ {
		go time.Sleep(100000 * time.Second)
	}
	for i := 0; i < 10; i++ {
		runtime.Gosched()
	}
	return (residentBytes() - before) / float64(n)
}

func main() {
	runtime.GOMAXPROCS(1)
	n, _ := strconv.Atoi(os.Args[2])
	if os.Args[1] == "spawn" {
		spawn(n)
		fmt.Println(spawn(n))
	} else {
		fmt.Println(sleep(n))
	}
}
