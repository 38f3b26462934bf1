// SPDX-License-Identifier: MIT

// The HTTP benchmarks' server in Go, on one thread, with net/http: a rival. The listening socket is
// descriptor 3.
//
//	server hello
//	server aggregate URL URL
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

const limit = 2 * time.Second

var client = &http.Client{Transport: &http.Transport{
	MaxIdleConns:        2000,
	MaxIdleConnsPerHost: 1000,
	IdleConnTimeout:     90 * time.Second,
}}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Write([]byte("hello world\n"))
}

func ask(ctx context.Context, url string) (answer any, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&answer)
	return answer, err
}

func aggregate(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, "/aggregate/")
	var answers [2]any
	var errs [2]error
	var both sync.WaitGroup
	both.Add(2)
	for i := range answers {
		go func(i int) {
			defer both.Done()
			answers[i], errs[i] = ask(r.Context(), os.Args[2+i]+"/"+id)
		}(i)
	}
	both.Wait()
	for _, err := range errs {
		if err != nil {
			http.Error(w, err.Error(), 502)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"users": answers[0], "posts": answers[1]})
}

func main() {
	runtime.GOMAXPROCS(1)
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", hello)
	http.HandleFunc("/aggregate/", aggregate)
	log.Fatal(http.Serve(listener, nil))
}
