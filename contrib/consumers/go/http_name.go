// SPDX-License-Identifier: Apache-2.0

// http_name - a consumer in Go: answers with the namespace's name
//
//	usage: http_name [-takeover] /run/berth/consumers/NAME.sock
//
// An HTTP server for the listeners of every namespace that a rule hands off to
// NAME (`handoff: NAME`). A request to a TCP listener is answered with the name
// of the namespace that it came from, and so is each UDP datagram. It needs the
// standard library and nothing else (no cgo), no privilege, and may run as any
// user who may open the socket (see `consumers` in berthd.yaml(5)).
//
// This file is the server; berthd.go is what every consumer has to do, as
// doc/consumer-protocol.md says. Copy both, and put your own server into serve:
// net.FileListener and net.FilePacketConn have made a net.Listener or a
// net.PacketConn of the socket already.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	idleTimeout  = 60 * time.Second
	headTimeout  = 10 * time.Second
	datagramMax  = 65536
	throughEvery = 100 * time.Millisecond
)

// server serves one listener, until it is withdrawn.
type server struct {
	http     http.Server
	withdrew chan struct{} // closed with the withdraw, once
	aborted  chan struct{} // closed when it says abort, once

	mu    sync.Mutex
	conns map[*conn]bool
	said  Counts
}

func newServer() *server {
	return &server{
		withdrew: make(chan struct{}), aborted: make(chan struct{}),
		conns: map[*conn]bool{},
	}
}

// conn counts bytes, and ends without leaving anything in the namespace.
type conn struct {
	*net.TCPConn
	server *server
	once   sync.Once
}

func (c *conn) Read(data []byte) (int, error) {
	n, err := c.TCPConn.Read(data)
	atomic.AddUint64(&c.server.said.BytesIn, uint64(n))
	return n, err
}

func (c *conn) Write(data []byte) (int, error) {
	n, err := c.TCPConn.Write(data)
	atomic.AddUint64(&c.server.said.BytesOut, uint64(n))
	return n, err
}

// Without it io.Copy would hand the socket to the kernel past Write.
func (c *conn) ReadFrom(reader io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, reader)
}

// Close ends this side's direction and waits until the client has acknowledged
// everything: a socket that is closed before lives on in the kernel, where
// nothing can reset it any more, and keeps a deleted namespace alive.
func (c *conn) Close() error {
	if c.isAborted() {
		c.reset()
		return nil
	}
	c.once.Do(func() {
		_ = c.TCPConn.CloseWrite()
		go c.end()
	})
	return nil
}

func (c *conn) end() {
	deadline := time.Now().Add(idleTimeout)
	_ = c.TCPConn.SetDeadline(deadline)
	for time.Now().Before(deadline) && unsent(c.TCPConn) > 0 && !c.isAborted() {
		time.Sleep(throughEvery)
	}
	if unsent(c.TCPConn) > 0 || c.isAborted() {
		_ = c.TCPConn.SetLinger(0) // a reset
	}
	c.close()
}

func (c *conn) isAborted() bool {
	select {
	case <-c.server.aborted:
		return true
	default:
		return false
	}
}

// reset leaves nothing of it in its namespace, whatever net/http does with it.
func (c *conn) reset() {
	_ = c.TCPConn.SetLinger(0)
	c.close()
}

func (c *conn) close() {
	_ = c.TCPConn.Close()
	c.server.mu.Lock()
	delete(c.server.conns, c)
	c.server.mu.Unlock()
}

// accepting is the net.Listener that net/http gets.
type accepting struct {
	net.Listener
	server *server
}

func (a accepting) Accept() (net.Conn, error) {
	accepted, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{TCPConn: accepted.(*net.TCPConn), server: a.server}
	a.server.mu.Lock()
	a.server.conns[c] = true
	a.server.said.Accepted++
	a.server.mu.Unlock()
	if c.isAborted() {
		c.reset()
	}
	return c, nil
}

// serve returns when nothing is left of the listener.
func (s *server) serve(l *Listener) {
	if l.Packets != nil {
		s.servePackets(l)
		return
	}
	s.http.Handler = http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, l.Name())
		})
	s.http.IdleTimeout = idleTimeout
	s.http.ReadHeaderTimeout = headTimeout
	s.http.WriteTimeout = idleTimeout
	go func() {
		<-s.withdrew
		// Closes the listener, lets requests that are under way end.
		_ = s.http.Shutdown(context.Background())
	}()
	if err := s.http.Serve(accepting{l.Stream, s}); err != nil &&
		err != http.ErrServerClosed {
		log.Print(err)
	}
	<-s.withdrew
	for s.Counts().Active > 0 {
		select {
		case <-s.aborted:
			s.resetAll()
		case <-time.After(throughEvery):
		}
	}
}

func (s *server) resetAll() {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.reset()
	}
}

// With address `any` the answer leaves from the address that the kernel
// chooses; a rule with `each` has none but the right one.
func (s *server) servePackets(l *Listener) {
	go func() {
		<-s.withdrew
		_ = l.Packets.Close()
	}()
	data := make([]byte, datagramMax)
	for {
		n, client, err := l.Packets.ReadFrom(data)
		select {
		case <-s.withdrew:
			return
		default:
		}
		if err != nil {
			continue // an error that a client's host sent
		}
		answer := []byte(l.Name() + "\n")
		_, err = l.Packets.WriteTo(answer, client)
		s.mu.Lock()
		s.said.MessagesIn++
		atomic.AddUint64(&s.said.BytesIn, uint64(n))
		if err != nil {
			s.said.Dropped++
		} else {
			s.said.MessagesOut++
			atomic.AddUint64(&s.said.BytesOut, uint64(len(answer)))
		}
		s.mu.Unlock()
	}
}

// Counts says what was done for the listener so far.
func (s *server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.said
	counts.BytesIn = atomic.LoadUint64(&s.said.BytesIn)
	counts.BytesOut = atomic.LoadUint64(&s.said.BytesOut)
	counts.Active = uint64(len(s.conns))
	return counts
}

// Withdraw ends it, with abort at once: before net/http ends anything its way.
func (s *server) Withdraw(abort bool) {
	if abort {
		closeOnce(s.aborted)
		s.resetAll()
	}
	closeOnce(s.withdrew)
}

// Of one goroutine: the one that berthd's messages come to.
func closeOnce(channel chan struct{}) {
	select {
	case <-channel:
	default:
		close(channel)
	}
}

func main() {
	takeover := flag.Bool("takeover", false, "instead of the one that runs")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	log.SetFlags(0)
	berthd := NewBerthd(flag.Arg(0), *takeover)
	berthd.Serve = func(l *Listener) Server {
		s := newServer()
		go func() {
			s.serve(l)
			berthd.Released(l)
		}()
		return s
	}
	if err := berthd.Run(); err != nil {
		log.Fatal(err)
	}
}
