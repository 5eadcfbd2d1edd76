package main

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const (
	upgrade = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: %s\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
		"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n"
	mostWaiting    = 4       // that begin at the same time while connections are added
	longestWaiting = 400_000 // microseconds after which one more begins all the same
)

// talker is one connection and its turn.
type talker struct {
	fd       int
	session  string
	tokens   int
	probe    bool
	open     bool
	asked    bool
	ready    bool // of Socket.IO: may send
	upgraded bool
	http     httpReader
	frames   frameReader
	scanner  tokenScanner
	sentAt   int64
	first    bool
	next     int64
	turns    int
	due      int64 // when something is to be done with it
	place    int   // in the heap
	resume   *resumption
	out      []byte
}

type talkers []*talker

func (t talkers) Len() int           { return len(t) }
func (t talkers) Less(i, j int) bool { return t[i].due < t[j].due }
func (t talkers) Swap(i, j int)      { t[i], t[j] = t[j], t[i]; t[i].place, t[j].place = i, j }
func (t *talkers) Push(x any)        { x.(*talker).place = len(*t); *t = append(*t, x.(*talker)) }
func (t *talkers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	last.place = -1
	return last
}

type load struct {
	spec     *experiment
	address  syscall.Sockaddr
	epoll    int
	events   []syscall.EpollEvent
	buffer   []byte
	talkers  map[int]*talker
	waiting  talkers
	now      int64
	counts   bool
	windowAt int64
	window   figures
	total    figures
	ended    func(*talker)
	unfirst  int // asked, and no token yet
}

// figures of a window.
type figures struct {
	tokens, turns, errors, lost, repeated int64
	late, first, probeFirst, turn         histogram
	words                                 map[string]int
}

func newLoad(spec *experiment) (*load, error) {
	address, err := net.ResolveTCPAddr("tcp4", spec.Address)
	if err != nil {
		return nil, err
	}
	raw := &syscall.SockaddrInet4{Port: address.Port}
	copy(raw.Addr[:], address.IP.To4())
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &load{
		spec: spec, address: raw, epoll: epoll, events: make([]syscall.EpollEvent, 512), buffer: make([]byte, 256*1024),
		talkers: map[int]*talker{}, now: nowMicros(),
	}, nil
}

func (f *figures) fail(words string) {
	f.errors++
	if f.words == nil {
		f.words = map[string]int{}
	}
	if len(f.words) < 20 {
		f.words[words]++
	}
}

func (l *load) schedule(t *talker, at int64) {
	t.due = at
	if t.place >= 0 {
		heap.Fix(&l.waiting, t.place)
	} else {
		heap.Push(&l.waiting, t)
	}
}

func (l *load) add(t *talker, at int64) {
	t.place, t.fd = -1, -1
	l.schedule(t, at)
}

// run goes on until a time, or until stop says so.
func (l *load) run(until int64, stop func() bool) {
	for {
		l.now = nowMicros()
		for len(l.waiting) > 0 && l.waiting[0].due <= l.now {
			l.begin(heap.Pop(&l.waiting).(*talker))
		}
		if l.now >= until || (stop != nil && stop()) {
			return
		}
		wait := min(until-l.now, 20_000)
		if len(l.waiting) > 0 {
			wait = min(wait, max(l.waiting[0].due-l.now, 0))
		}
		count, _ := syscall.EpollWait(l.epoll, l.events, int((wait+999)/1000))
		l.now = nowMicros()
		for _, event := range l.events[:max(count, 0)] {
			if t := l.talkers[int(event.Fd)]; t != nil {
				if event.Events&syscall.EPOLLOUT != 0 {
					l.flush(t)
				}
				l.read(t)
			}
		}
	}
}

func (l *load) connect(t *talker) bool {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Connect(fd, l.address)
	}
	if err != nil {
		syscall.Close(fd)
		l.window.fail("connect: " + err.Error())
		return false
	}
	syscall.SetNonblock(fd, true)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	t.fd, t.open, t.ready, t.upgraded = fd, true, l.spec.Kind != "socketio", false
	t.http.reset()
	t.frames.rest, t.out = t.frames.rest[:0], nil
	l.talkers[fd] = t
	watchFd(l.epoll, fd, syscall.EPOLLIN, syscall.EPOLL_CTL_ADD)
	return true
}

func (l *load) begin(t *talker) {
	if !t.open {
		if !l.connect(t) {
			l.schedule(t, l.now+200_000)
			return
		}
		if !t.ready {
			l.send(t, []byte(fmt.Sprintf(upgrade, l.spec.Address)))
			return
		}
	}
	l.ask(t)
}

func (l *load) ask(t *talker) {
	request := []byte(nil)
	if t.resume != nil {
		request = t.resume.request(l.spec, t)
	} else {
		request = l.spec.request(t.session, t.tokens)
		t.next = 0
	}
	t.asked, t.first, t.sentAt = true, false, nowMicros()
	t.scanner = tokenScanner{}
	t.http.reset()
	l.unfirst++
	l.send(t, request)
}

func (l *load) send(t *talker, data []byte) {
	t.out = append(t.out, data...)
	l.flush(t)
}

func (l *load) flush(t *talker) {
	for len(t.out) > 0 {
		count, err := syscall.Write(t.fd, t.out)
		if err == syscall.EAGAIN {
			watchFd(l.epoll, t.fd, syscall.EPOLLIN|syscall.EPOLLOUT, syscall.EPOLL_CTL_MOD)
			return
		}
		if err != nil && err != syscall.EINTR {
			return // The reader meets it.
		}
		t.out = t.out[max(count, 0):]
	}
	if t.out != nil {
		t.out = nil
		watchFd(l.epoll, t.fd, syscall.EPOLLIN, syscall.EPOLL_CTL_MOD)
	}
}

func (l *load) close(t *talker) {
	if t.open {
		delete(l.talkers, t.fd)
		syscall.Close(t.fd)
		t.open = false
	}
	if t.asked && !t.first {
		l.unfirst--
	}
	t.asked = false
}

func (l *load) read(t *talker) {
	count, err := syscall.Read(t.fd, l.buffer)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if count <= 0 {
		whole := t.http.left < 0 && t.http.inBody
		asked := t.asked
		if asked && whole {
			l.finish(t)
		} else if asked {
			l.window.fail("the connection was closed")
		}
		l.close(t)
		if asked && !whole {
			l.schedule(t, l.now+200_000)
		}
		return
	}
	data := l.buffer[:count]
	if l.spec.Kind == "socketio" {
		l.readSocket(t, data)
		return
	}
	if err := t.http.feed(data, func(payload []byte) { l.payload(t, payload) }); err != nil {
		l.window.fail(err.Error())
		l.close(t)
		l.schedule(t, l.now+200_000)
		return
	}
	if t.http.done && t.asked {
		l.finish(t)
		if t.http.closes {
			l.close(t)
		}
	}
}

func (l *load) readSocket(t *talker, data []byte) {
	if !t.upgraded {
		t.http.head = append(t.http.head, data...)
		end := bytes.Index(t.http.head, []byte("\r\n\r\n"))
		if end < 0 {
			return
		}
		t.upgraded = true
		data = append([]byte(nil), t.http.head[end+4:]...)
	}
	t.frames.feed(data, func(kind byte, text []byte) {
		switch {
		case kind != 1 || len(text) == 0:
		case text[0] == '0':
			l.send(t, textFrame([]byte("40")))
		case text[0] == '2':
			l.send(t, textFrame([]byte("3")))
		case bytes.HasPrefix(text, []byte("40")):
			t.ready = true
			l.ask(t)
		case bytes.HasPrefix(text, []byte(`42["done"`)):
			l.finish(t)
		case bytes.HasPrefix(text, []byte("42")):
			l.payload(t, text)
		}
	})
}

func (l *load) payload(t *talker, payload []byte) {
	if t.resume != nil {
		t.resume.feed(payload)
		if !t.first && t.resume.next > 0 {
			l.firstToken(t)
		}
		if t.resume.cuts() {
			l.close(t)
			l.schedule(t, l.now+rand.Int63n(1_000_000))
		}
		return
	}
	if l.spec.Kind == "unary" {
		return
	}
	if t.http.status >= 300 {
		l.window.fail(fmt.Sprintf("%d %.200s", t.http.status, payload))
		return
	}
	t.scanner.scan(payload, func(number, at int64) {
		if t.next >= int64(t.tokens) {
			return // A peer may tell the whole text at the end once more.
		}
		switch {
		case number == t.next:
		case number < t.next:
			l.window.repeated++
			return
		default:
			l.window.lost += number - t.next
		}
		t.next = number + 1
		if !t.first {
			l.firstToken(t)
		}
		if l.counts && !t.probe {
			l.window.tokens++
			l.window.late.add(max(l.now-at, 1))
		}
	})
}

func (l *load) firstToken(t *talker) {
	t.first = true
	l.unfirst--
	if l.counts && t.sentAt >= l.windowAt {
		if t.probe {
			l.window.probeFirst.add(l.now - t.sentAt)
		} else {
			l.window.first.add(l.now - t.sentAt)
		}
	}
}

func (l *load) finish(t *talker) {
	if !t.asked {
		return
	}
	if !t.first {
		l.unfirst--
	}
	t.asked, t.first = false, true
	if l.spec.Kind == "unary" {
		if t.http.status != 200 {
			l.window.fail(strconv.Itoa(t.http.status))
		}
	} else if t.resume == nil && t.next < int64(t.tokens) {
		l.window.fail("an answer that is not whole")
		l.window.lost += int64(t.tokens) - t.next
	}
	if l.counts && !t.probe {
		l.window.turns++
		if t.sentAt >= l.windowAt {
			l.window.turn.add(l.now - t.sentAt)
		}
	}
	t.turns++
	if l.ended != nil {
		l.ended(t)
	}
}

// usage is what the processes have used at a moment.
type usage map[string]float64

func (l *load) cpu() usage {
	used := usage{"client": cpuSeconds(os.Getpid())}
	for name, pids := range l.spec.Watch {
		for _, pid := range pids {
			used[name] += cpuSeconds(pid)
		}
	}
	return used
}

func (l *load) memory() map[string]map[string]float64 {
	sizes := map[string]map[string]float64{}
	for name, pids := range l.spec.Watch {
		sizes[name] = map[string]float64{}
		for _, pid := range pids {
			pss, rss := memoryKib(pid)
			sizes[name]["pss_kib"] += pss
			sizes[name]["rss_kib"] += rss
		}
	}
	return sizes
}

func (u usage) since(before usage) usage {
	used := usage{}
	for name := range u {
		used[name] = u[name] - before[name]
	}
	return used
}

func shortest(words map[string]int) []string {
	said := []string{}
	for word, count := range words {
		said = append(said, fmt.Sprintf("%d x %s", count, strings.TrimSpace(word)))
	}
	return said
}
