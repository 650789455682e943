// SPDX-License-Identifier: MIT

// A relay as a Go program has it: a goroutine a direction, io.Copy (which splices between TCP
// connections).
//
//	go-relay LISTEN TARGET
package main

import (
	"io"
	"net"
	"os"
)

func pass(to, from *net.TCPConn, done chan struct{}) {
	io.Copy(to, from)
	to.CloseWrite()
	done <- struct{}{}
}

func serve(client *net.TCPConn, target string) {
	defer client.Close()
	connection, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{}, 2)
	go pass(server, client, done)
	go pass(client, server, done)
	<-done
	<-done
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(connection.(*net.TCPConn), os.Args[2])
	}
}
