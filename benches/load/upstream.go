package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// The provider. A request says in its text how it is answered: `[[tokens=500 rate=50]]`, the last such mark counts; rate 0 is as fast as
// the socket takes it. Without a mark the answer is five tokens at once: what chat asks on its own account, such as titles.

const (
	wheelSlots       = 4096
	mostUnsent       = 256 * 1024
	bytesOfABurst    = 16 * 1024
	closesAfterBytes = 64 << 20
)

type providerStream struct {
	fd       int
	in       []byte
	out      []byte
	sent     int
	tokens   int
	next     int
	period   int64
	due      int64
	running  bool
	usage    bool
	waits    bool
	isClosed bool
}

type provider struct {
	epoll    int
	streams  map[int]*providerStream
	wheel    [wheelSlots][]*providerStream
	bursting []*providerStream
	clock    int64
	lag      histogram
	running  int
	answers  int64
	tokens   int64
	cut      int64
}

func serveUpstream() error {
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	syscall.SetsockoptInt(listener, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := syscall.Listen(listener, 4096); err != nil {
		return err
	}
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	watchFd(epoll, listener, syscall.EPOLLIN, syscall.EPOLL_CTL_ADD)
	name, _ := syscall.Getsockname(listener)
	fmt.Printf("http://127.0.0.1:%d/v1\n", name.(*syscall.SockaddrInet4).Port)

	p := &provider{epoll: epoll, streams: map[int]*providerStream{}, clock: nowMicros() / 1000}
	events := make([]syscall.EpollEvent, 512)
	buffer := make([]byte, 256*1024)
	for {
		timeout := 100
		if p.running > 0 {
			timeout = 1
		}
		if len(p.bursting) > 0 {
			timeout = 0
		}
		count, err := syscall.EpollWait(epoll, events, timeout)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, event := range events[:max(count, 0)] {
			fd := int(event.Fd)
			if fd == listener {
				p.accept(listener)
				continue
			}
			stream := p.streams[fd]
			if stream == nil {
				continue
			}
			if event.Events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
				p.read(stream, buffer)
			}
			if event.Events&syscall.EPOLLOUT != 0 && !stream.isClosed {
				p.flush(stream)
			}
		}
		p.turnWheel()
		p.writeBursts()
		if os.Getppid() == 1 {
			return nil
		}
	}
}

func watchFd(epoll, fd int, events uint32, operation int) {
	syscall.EpollCtl(epoll, operation, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

func (p *provider) accept(listener int) {
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		p.streams[fd] = &providerStream{fd: fd}
		watchFd(p.epoll, fd, syscall.EPOLLIN, syscall.EPOLL_CTL_ADD)
	}
}

func (p *provider) close(s *providerStream) {
	if s.isClosed {
		return
	}
	if s.running {
		p.running--
		p.cut++
	}
	s.isClosed, s.running = true, false
	delete(p.streams, s.fd)
	syscall.Close(s.fd)
}

func (p *provider) read(s *providerStream, buffer []byte) {
	count, err := syscall.Read(s.fd, buffer)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if count <= 0 || len(s.in) > closesAfterBytes {
		p.close(s)
		return
	}
	s.in = append(s.in, buffer[:count]...)
	for !s.isClosed && !s.running {
		head, body, rest, whole := splitRequest(s.in)
		if !whole {
			return
		}
		p.answer(s, head, body)
		s.in = append(s.in[:0], rest...)
	}
}

// splitRequest takes the first request off the bytes that came.
func splitRequest(in []byte) (head, body, rest []byte, whole bool) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, nil, nil, false
	}
	head, rest = in[:end+2], in[end+4:]
	lower := bytes.ToLower(head)
	if bytes.Contains(lower, []byte("transfer-encoding: chunked")) {
		// The marks that are looked for are not cut by chunks in practice, and the body's framing is of no other interest.
		if end := bytes.Index(rest, []byte("0\r\n\r\n")); end >= 0 && (end == 0 || rest[end-1] == '\n') {
			return head, rest[:end], rest[end+5:], true
		}
		return nil, nil, nil, false
	}
	length := 0
	if at := bytes.Index(lower, []byte("content-length:")); at >= 0 {
		line := head[at+len("content-length:"):]
		length, _ = strconv.Atoi(string(bytes.TrimSpace(line[:bytes.IndexByte(line, '\r')])))
	}
	if len(rest) < length {
		return nil, nil, nil, false
	}
	return head, rest[:length], rest[length:], true
}

func (p *provider) answer(s *providerStream, head, body []byte) {
	line := head[:bytes.IndexByte(head, '\r')]
	switch {
	case bytes.Contains(line, []byte("/chat/completions")):
		tokens, rate := marked(body)
		p.answers++
		if bytes.Contains(body, []byte(`"stream":true`)) || bytes.Contains(body, []byte(`"stream": true`)) {
			p.begin(s, tokens, rate, bytes.Contains(body, []byte("include_usage")))
			return
		}
		text := []byte{}
		for number := 0; number < tokens; number++ {
			text = appendToken(text, number, nowMicros())
		}
		s.reply(fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"fake-model","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":%d,"total_tokens":%d}}`, text, tokens, tokens+7))
	case bytes.HasSuffix(bytes.TrimSuffix(line, []byte(" HTTP/1.1")), []byte("/models")):
		s.reply(`{"object":"list","data":[{"id":"fake-model","object":"model","created":1700000000,"owned_by":"bench"}]}`)
	case bytes.Contains(line, []byte("/stats")):
		said, _ := json.Marshal(map[string]any{
			"running": p.running, "answers": p.answers, "tokens": p.tokens, "cut": p.cut, "lag_ms": p.lag.figures(),
		})
		p.lag = histogram{}
		s.reply(string(said))
	default:
		s.reply("{}")
	}
	p.flush(s)
}

func (s *providerStream) reply(body string) {
	s.out = append(s.out, fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", len(body), body)...)
}

// marked reads how a request wants to be answered.
func marked(body []byte) (tokens int, rate int) {
	tokens = 5
	at := bytes.LastIndex(body, []byte("[[tokens="))
	if at < 0 {
		return tokens, 0
	}
	fmt.Sscanf(string(body[at:min(at+60, len(body))]), "[[tokens=%d rate=%d]]", &tokens, &rate)
	return tokens, rate
}

func (p *provider) begin(s *providerStream, tokens, rate int, usage bool) {
	p.running++
	s.running, s.tokens, s.next, s.usage, s.period = true, tokens, 0, usage, 0
	s.out = append(s.out, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"...)
	s.chunk(`{"role":"assistant","content":""}`, "null")
	if rate == 0 {
		p.bursting = append(p.bursting, s)
		return
	}
	s.period = int64(1_000_000 / rate)
	s.due = nowMicros()
	p.speak(s, s.due)
}

const (
	beginsChunk = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"fake-model","choices":[{"index":0,"delta":`
	hexDigits   = "0123456789abcdef"
)

// chunk writes one event as one chunk of HTTP, as servers do that flush each token.
func (s *providerStream) chunk(delta string, reason string) {
	length := len(beginsChunk) + len(delta) + len(`,"finish_reason":`) + len(reason) + len("}]}\n\n")
	s.out = strconv.AppendInt(s.out, int64(length), 16)
	s.out = append(s.out, "\r\n"...)
	s.out = append(s.out, beginsChunk...)
	s.out = append(s.out, delta...)
	s.out = append(s.out, `,"finish_reason":`...)
	s.out = append(s.out, reason...)
	s.out = append(s.out, "}]}\n\n\r\n"...)
}

func (s *providerStream) raw(event string) {
	s.out = append(s.out, fmt.Sprintf("%x\r\n%s\r\n", len(event), event)...)
}

var scratch []byte

func (p *provider) addToken(s *providerStream, at int64) {
	scratch = append(scratch[:0], `{"content":"`...)
	scratch = appendToken(scratch, s.next, at)
	scratch = append(scratch, `"}`...)
	s.chunk(string(scratch), "null")
	s.next++
	p.tokens++
	if s.next >= s.tokens {
		s.chunk("{}", `"stop"`)
		if s.usage {
			s.raw(fmt.Sprintf("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"fake-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n", s.tokens, s.tokens+7))
		}
		s.raw("data: [DONE]\n\n")
		s.out = append(s.out, "0\r\n\r\n"...)
		s.running = false
		p.running--
	}
}

// speak sends the token that is due and puts the next one into the wheel.
func (p *provider) speak(s *providerStream, now int64) {
	if s.isClosed || !s.running {
		return
	}
	p.lag.add(max(now-s.due, 1))
	if len(s.out)-s.sent < mostUnsent {
		p.addToken(s, now)
		p.flush(s)
	}
	if s.running && !s.isClosed {
		s.due += s.period
		slot := max(s.due/1000, p.clock+1)
		p.wheel[slot%wheelSlots] = append(p.wheel[slot%wheelSlots], s)
	}
}

func (p *provider) turnWheel() {
	for now := nowMicros() / 1000; p.clock < now; {
		p.clock++
		slot := &p.wheel[p.clock%wheelSlots]
		due := *slot
		*slot = nil
		for _, stream := range due {
			p.speak(stream, nowMicros())
		}
		if len(due) > 0 && *slot == nil {
			*slot = due[:0]
		}
	}
}

// writeBursts gives each unpaced answer whose socket has room its next piece.
func (p *provider) writeBursts() {
	still := p.bursting[:0]
	for _, stream := range p.bursting {
		if stream.isClosed || !stream.running {
			continue
		}
		still = append(still, stream)
		if stream.waits {
			continue
		}
		now := nowMicros()
		for stream.running && len(stream.out)-stream.sent < bytesOfABurst {
			p.addToken(stream, now)
		}
		p.flush(stream)
	}
	p.bursting = still
}

func (p *provider) flush(s *providerStream) {
	for s.sent < len(s.out) {
		count, err := syscall.Write(s.fd, s.out[s.sent:])
		if err == syscall.EAGAIN {
			if !s.waits {
				s.waits = true
				watchFd(p.epoll, s.fd, syscall.EPOLLIN|syscall.EPOLLOUT, syscall.EPOLL_CTL_MOD)
			}
			return
		}
		if err != nil && err != syscall.EINTR {
			p.close(s)
			return
		}
		s.sent += max(count, 0)
	}
	s.out, s.sent = s.out[:0], 0
	if s.waits {
		s.waits = false
		watchFd(p.epoll, s.fd, syscall.EPOLLIN, syscall.EPOLL_CTL_MOD)
	}
}
