// SPDX-License-Identifier: MIT

// GETs through Go's net/http client on one thread, connections kept: nanoseconds each, by the clock
// or of processor time.
//
//	fetch URL IN-FLIGHT REQUESTS clock|cpu
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const warm = 2000

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

func processorTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func clock(what string) int64 {
	if what == "cpu" {
		return processorTime()
	}
	return time.Now().UnixNano()
}

func get(client *http.Client, url string) {
	response, err := client.Get(url)
	if err != nil {
		panic(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != 200 || len(body) != 6 {
		panic("not what was expected")
	}
}

func getAll(client *http.Client, url string, flight, requests int) {
	var all sync.WaitGroup
	all.Add(flight)
	for i := 0; i < flight; i++ {
		go func() {
			defer all.Done()
			for requests > 0 {
				requests--
				get(client, url)
			}
		}()
	}
	all.Wait()
}

func main() {
	runtime.GOMAXPROCS(1)
	url, flight, requests := os.Args[1], number(os.Args[2]), number(os.Args[3])
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns:        flight,
		MaxIdleConnsPerHost: flight,
		MaxConnsPerHost:     flight,
	}}
	getAll(client, url, flight, warm)
	start := clock(os.Args[4])
	getAll(client, url, flight, requests)
	fmt.Println(float64(clock(os.Args[4])-start) / float64(requests))
}
