// SPDX-License-Identifier: MIT

// An echo server in Go, a goroutine a connection: a rival of the echo benchmark. The listening
// socket is descriptor 3.
package main

import (
	"log"
	"net"
	"os"
)

func echo(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, 64*1024)
	for {
		n, err := c.Read(buffer)
		if n > 0 {
			if _, err := c.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(c)
	}
}
