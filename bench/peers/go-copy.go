// SPDX-License-Identifier: MIT

// go-copy SOURCE SINK: io.Copy between two ends, as a Go program would have it.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

func openSocket(name string) (io.ReadWriteCloser, bool, error) {
	scheme, rest, _ := strings.Cut(name, ":")
	switch scheme {
	case "tcp", "unix":
		socket, err := net.Dial(scheme, rest)
		return socket, true, err
	case "tcp-listen":
		listener, err := net.Listen("tcp", rest)
		if err != nil {
			return nil, true, err
		}
		socket, err := listener.Accept()
		return socket, true, err
	}
	return nil, false, nil
}

func openSource(name string) (io.Reader, error) {
	if name == "-" {
		return os.Stdin, nil
	}
	if socket, is, err := openSocket(name); is {
		return socket, err
	}
	return os.Open(name)
}

func openSink(name string) (io.WriteCloser, error) {
	switch name {
	case "-":
		return os.Stdout, nil
	case "null:":
		return os.OpenFile("/dev/null", os.O_WRONLY, 0)
	}
	if socket, is, err := openSocket(name); is {
		return socket, err
	}
	return os.Create(name)
}

func move(from, to string) error {
	source, err := openSource(from)
	if err != nil {
		return err
	}
	sink, err := openSink(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(sink, source); err != nil {
		return err
	}
	return sink.Close()
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go-copy SOURCE SINK")
		os.Exit(2)
	}
	if err := move(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "go-copy:", err)
		os.Exit(1)
	}
}
