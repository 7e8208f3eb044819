// SPDX-License-Identifier: Apache-2.0

// The connection to berthd: hello, welcome, what berthd says, the connection
// lost and made again, with everything handed back. See
// doc/consumer-protocol.md; every name in quotes is one of its words.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	version       = 1
	messageMax    = 65536
	statsAtOnce   = 100 // listeners in one datagram
	retryFirst    = 10 * time.Millisecond
	retryLongest  = 250 * time.Millisecond // berthd waits for a second
	orphanDefault = 60 * time.Second
)

// Counts are what was done for a listener since this process has it.
type Counts struct {
	Accepted    uint64 `json:"accepted"`
	Active      uint64 `json:"active"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
	MessagesIn  uint64 `json:"messages_in"`
	MessagesOut uint64 `json:"messages_out"`
	Dropped     uint64 `json:"dropped"`
}

// Server is what serves a listener.
type Server interface {
	Withdraw(abort bool)
	Counts() Counts
}

type message struct {
	Type      string `json:"type"`
	ID        uint64 `json:"id"`
	Request   uint64 `json:"request"`
	Abort     bool   `json:"abort"`
	Orphan    int64  `json:"orphan_timeout_ms"`
	Reason    string `json:"reason"`
	Error     string `json:"error"`
	Protocol  string `json:"protocol"`
	Address   string `json:"address"`
	Port      int    `json:"port"`
	Interface string `json:"interface"`
	Rule      string `json:"rule"`
}

// Only a `listener` has it: in a `socket` `netns` is a number.
type netns struct {
	Netns struct {
		ID    uint64   `json:"id"`
		Host  bool     `json:"host"`
		Names []string `json:"names"`
	} `json:"netns"`
}

// Listener is one socket that berthd has given, and what it is for.
type Listener struct {
	Stream  *net.TCPListener // or
	Packets *net.UDPConn

	mu       sync.Mutex
	members  message
	netns    netns
	server   Server
	released bool
}

// Name is the namespace's name; it may have several, or none.
func (l *Listener) Name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch of := l.netns.Netns; {
	case len(of.Names) > 0:
		return of.Names[0]
	case of.Host:
		return "host"
	default:
		return strconv.FormatUint(of.ID, 10)
	}
}

func (l *Listener) socket() syscall.RawConn {
	var raw syscall.RawConn
	if l.Stream != nil {
		raw, _ = l.Stream.SyscallConn()
	} else {
		raw, _ = l.Packets.SyscallConn()
	}
	return raw
}

// Berthd is the connection, and the listeners that came over it.
type Berthd struct {
	Serve func(*Listener) Server

	path     string
	takeover bool

	mu        sync.Mutex
	conn      *net.UnixConn
	welcome   bool // of the connection that there is
	takenOver bool
	listeners map[uint64]*Listener
	orphan    time.Duration
	end       chan error
}

func NewBerthd(path string, takeover bool) *Berthd {
	return &Berthd{path: path, takeover: takeover, orphan: orphanDefault,
		listeners: map[uint64]*Listener{}, end: make(chan error, 1)}
}

// Run serves until another consumer has taken over and nothing is left here.
func (b *Berthd) Run() error {
	go func() { b.finish(b.reconnect()) }()
	return <-b.end
}

func (b *Berthd) finish(err error) {
	select {
	case b.end <- err:
	default:
	}
}

// reconnect goes on without berthd: what it gave is served on, and handed back
// to the next one. Nobody says meanwhile which namespaces are deleted, so this
// may not last for ever.
func (b *Berthd) reconnect() error {
	pause := retryFirst
	var orphans *time.Timer
	for {
		conn, err := net.DialUnix("unixpacket", nil,
			&net.UnixAddr{Name: b.path, Net: "unixpacket"})
		if err == nil {
			err = b.talk(conn, func() {
				pause = retryFirst
				if orphans != nil {
					orphans.Stop()
					orphans = nil
				}
			})
			conn.Close()
			if b.lost(); err != nil {
				return err
			}
		}
		if orphans == nil {
			orphans = time.AfterFunc(b.orphan,
				func() { b.withdrawAll(true) })
		}
		if b.takenOver {
			select {} // until nothing is left of what was accepted
		}
		time.Sleep(pause)
		if pause *= 2; pause > retryLongest {
			pause = retryLongest
		}
	}
}

func (b *Berthd) lost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn, b.welcome = nil, false
}

// talk reads what berthd says. An error ends this process.
func (b *Berthd) talk(conn *net.UnixConn, welcomed func()) error {
	b.mu.Lock()
	b.conn = conn
	hello := map[string]any{"type": "hello", "version": version,
		"name": filepath.Base(os.Args[0]), "held": len(b.listeners)}
	b.mu.Unlock()
	if b.takeover {
		hello["takeover"] = true
	}
	b.send(hello, nil)

	text, rights := make([]byte, messageMax), make([]byte, syscall.CmsgSpace(4))
	for {
		n, nRights, _, _, err := conn.ReadMsgUnix(text, rights)
		if err != nil || n == 0 {
			return nil
		}
		file := received(rights[:nRights])
		var said message
		if json.Unmarshal(text[:n], &said) != nil {
			said.Type = ""
		}
		if said.Type == "welcome" {
			welcomed()
		}
		err = b.handle(said, text[:n], file)
		if file != nil {
			file.Close() // net.FileListener has made its own copy
		}
		if err != nil {
			return err
		}
	}
}

// received is the descriptor that came with a message, or nil.
func received(rights []byte) *os.File {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	syscall.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "listener")
}

func (b *Berthd) handle(said message, text []byte, file *os.File) error {
	switch said.Type {
	case "welcome":
		b.orphan = time.Duration(said.Orphan) * time.Millisecond
		b.takeover = false
		b.handBack()
	case "denied":
		if said.Reason != "busy" || len(b.held()) == 0 {
			return errors.New(said.Error)
		}
	case "listener":
		b.take(said, text, file)
	case "withdraw":
		if l := b.find(said.ID); l != nil {
			l.withdraw(said.Abort)
		} else {
			b.send(map[string]any{"type": "released", "id": said.ID}, nil)
		}
	case "taken_over":
		b.mu.Lock()
		b.takenOver = true
		b.mu.Unlock()
		b.withdrawAll(false)
		b.endIfDone()
	case "stats":
		b.sayStats(said.Request)
	}
	return nil
}

func (b *Berthd) find(id uint64) *Listener {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.listeners[id]
}

func (b *Berthd) held() []*Listener {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := make([]*Listener, 0, len(b.listeners))
	for _, l := range b.listeners {
		held = append(held, l)
	}
	return held
}

// take serves a new listener, or one that has changed.
func (b *Berthd) take(said message, text []byte, file *os.File) {
	var of netns
	_ = json.Unmarshal(text, &of)
	if l := b.find(said.ID); l != nil {
		l.mu.Lock()
		l.members, l.netns = said, of
		l.mu.Unlock()
		return
	}
	l := &Listener{members: said, netns: of}
	if err := l.open(file); err != nil {
		b.send(map[string]any{"type": "refused", "id": said.ID}, nil)
		return
	}
	b.mu.Lock()
	b.listeners[said.ID] = l
	b.mu.Unlock()
	server := b.Serve(l)
	l.mu.Lock()
	l.server = server
	l.mu.Unlock()
}

func (l *Listener) open(file *os.File) error {
	if file == nil {
		return errors.New("no descriptor")
	}
	switch l.members.Protocol {
	case "tcp", "mptcp":
		made, err := net.FileListener(file)
		if err != nil {
			return err
		}
		l.Stream = made.(*net.TCPListener)
	case "udp":
		made, err := net.FilePacketConn(file)
		if err != nil {
			return err
		}
		l.Packets = made.(*net.UDPConn)
	default:
		return fmt.Errorf("%s is not served", l.members.Protocol)
	}
	return nil
}

// The server closes the socket, and does no more than close(2): shutdown(2)
// would end the listening of berthd's copy, too.
func (l *Listener) withdraw(abort bool) {
	l.mu.Lock()
	server := l.server
	l.mu.Unlock()
	server.Withdraw(abort)
}

func (b *Berthd) withdrawAll(abort bool) {
	for _, l := range b.held() {
		l.withdraw(abort)
	}
}

// Released is called when nothing is left of a listener. Without a berthd to
// say it to, it is said after the hand back.
func (b *Berthd) Released(l *Listener) {
	b.mu.Lock()
	l.released = true
	known := b.welcome || b.takenOver
	if known {
		delete(b.listeners, l.members.ID)
	}
	b.mu.Unlock()
	if known {
		b.sayReleased(l)
	}
	b.endIfDone()
}

func (b *Berthd) sayReleased(l *Listener) {
	said := l.counted()
	said["type"] = "released"
	b.send(said, nil)
}

func (b *Berthd) endIfDone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.takenOver && len(b.listeners) == 0 {
		b.finish(nil)
	}
}

// counted is the listener's id with its counts.
func (l *Listener) counted() map[string]any {
	l.mu.Lock()
	server, id := l.server, l.members.ID
	l.mu.Unlock()
	text, _ := json.Marshal(server.Counts())
	said := map[string]any{}
	_ = json.Unmarshal(text, &said)
	said["id"] = id
	return said
}

// handBack says what this process holds from an earlier berthd: each listener
// with its socket; those that were withdrawn already without.
func (b *Berthd) handBack() {
	for _, l := range b.held() {
		said := l.counted()
		said["type"] = "held"
		said["netns"] = l.netns.Netns.ID
		said["rule"] = l.members.Rule
		said["protocol"] = l.members.Protocol
		said["address"] = l.members.Address
		said["port"] = l.members.Port
		said["interface"] = l.members.Interface
		if !b.send(said, l.socket()) {
			said["draining"] = true // its socket is closed
			b.send(said, nil)
		}
	}
	b.mu.Lock()
	b.welcome = true
	var done []*Listener
	for id, l := range b.listeners {
		if l.released {
			done = append(done, l)
			delete(b.listeners, id)
		}
	}
	b.mu.Unlock()
	for _, l := range done {
		b.sayReleased(l)
	}
}

// sayStats answers in datagrams that are small enough.
func (b *Berthd) sayStats(request uint64) {
	held := b.held()
	for {
		n := len(held)
		if n > statsAtOnce {
			n = statsAtOnce
		}
		counted := make([]any, 0, n)
		for _, l := range held[:n] {
			counted = append(counted, l.counted())
		}
		held = held[n:]
		said := map[string]any{"type": "stats", "request": request,
			"listeners": counted}
		if len(held) > 0 {
			said["more"] = true
		}
		b.send(said, nil)
		if len(held) == 0 {
			return
		}
	}
}

// send waits while the connection is full: berthd reads all the time, and other
// goroutines serve on. The end of the connection is seen by who reads. Only a
// socket that is closed already is not sent.
func (b *Berthd) send(said map[string]any, socket syscall.RawConn) bool {
	text, _ := json.Marshal(said)
	b.mu.Lock()
	conn := b.conn
	b.mu.Unlock()
	if conn == nil {
		return true
	}
	if socket == nil {
		_, _, _ = conn.WriteMsgUnix(text, nil, nil)
		return true
	}
	return socket.Control(func(fd uintptr) {
		_, _, _ = conn.WriteMsgUnix(text, syscall.UnixRights(int(fd)), nil)
	}) == nil
}

// unsent is how many bytes the client has not acknowledged.
func unsent(conn *net.TCPConn) int {
	var n int32
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ,
			uintptr(unsafe.Pointer(&n)))
	})
	return int(n)
}
