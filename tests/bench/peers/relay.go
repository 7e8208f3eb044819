// SPDX-License-Identifier: Apache-2.0

// relay.go - the setns design as a plain Go program
//
// relay DIR NAME PORT BACKEND listens on PORT in the namespace DIR/NAME and
// relays each connection to BACKEND, reached from the program's own namespace.
// A goroutine copies each direction with io.Copy, which splices by itself.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
)

// listen opens the socket in the namespace; the thread then steps back.
func listen(path, port string) (net.Listener, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		return nil, err
	}
	defer home.Close()
	inside, err := netns.GetFromPath(path)
	if err != nil {
		return nil, err
	}
	defer inside.Close()
	if err := netns.Set(inside); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", ":"+port)
	if backErr := netns.Set(home); backErr != nil {
		panic(backErr) // everything else would happen in there
	}
	return listener, err
}

func copyOneWay(to, from *net.TCPConn, done chan<- struct{}) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
	done <- struct{}{}
}

func relay(client *net.TCPConn, backend string) {
	defer client.Close()
	conn, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer conn.Close()
	done := make(chan struct{}, 2)
	go copyOneWay(conn.(*net.TCPConn), client, done)
	copyOneWay(client, conn.(*net.TCPConn), done)
	<-done
	<-done
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "relay DIR NAME PORT BACKEND")
		os.Exit(1)
	}
	path := filepath.Join(os.Args[1], os.Args[2])
	listener, err := listen(path, os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "listen:", err)
		os.Exit(1)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "accept:", err)
			os.Exit(1)
		}
		go relay(client.(*net.TCPConn), os.Args[4])
	}
}
