package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// What carries an answer: a response of HTTP/1.1, or the frames of a WebSocket. Both give out payload as it comes, cut anywhere.

var errFraming = errors.New("a response that cannot be read")

type httpReader struct {
	head    []byte
	status  int
	inBody  bool
	chunked bool
	left    int64 // of the body, or of the chunk; -1 until the connection closes
	line    []byte
	inTail  bool
	closes  bool
	done    bool
}

func (r *httpReader) feed(data []byte, payload func([]byte)) error {
	for len(data) > 0 && !r.done {
		switch {
		case !r.inBody:
			before := len(r.head)
			r.head = append(r.head, data...)
			end := bytes.Index(r.head, []byte("\r\n\r\n"))
			if end < 0 {
				return nil
			}
			data = data[end+4-before:]
			if err := r.readHead(r.head[:end+2]); err != nil {
				return err
			}
		case r.left > 0:
			count := min(int64(len(data)), r.left)
			payload(data[:count])
			data = data[count:]
			r.left -= count
			if r.left == 0 && !r.chunked {
				r.done = true
			}
		case r.left < 0:
			payload(data)
			return nil
		default:
			end := bytes.IndexByte(data, '\n')
			if end < 0 {
				r.line = append(r.line, data...)
				return nil
			}
			r.line = append(r.line, data[:end+1]...)
			data = data[end+1:]
			line := bytes.TrimSpace(r.line)
			r.line = r.line[:0]
			if len(line) == 0 {
				r.done = r.inTail
				continue
			}
			if r.inTail {
				continue
			}
			if at := bytes.IndexByte(line, ';'); at >= 0 {
				line = line[:at]
			}
			size, err := strconv.ParseInt(string(line), 16, 63)
			if err != nil {
				return errFraming
			}
			r.left, r.inTail = size, size == 0
		}
	}
	return nil
}

func (r *httpReader) readHead(head []byte) error {
	if _, err := fmt.Sscanf(string(head), "HTTP/1.1 %d", &r.status); err != nil {
		return errFraming
	}
	lower := bytes.ToLower(head)
	r.chunked = bytes.Contains(lower, []byte("transfer-encoding: chunked"))
	r.closes = bytes.Contains(lower, []byte("connection: close"))
	r.inBody, r.left = true, 0
	if r.chunked {
		return nil
	}
	at := bytes.Index(lower, []byte("content-length:"))
	if at < 0 {
		r.left, r.closes = -1, true
		return nil
	}
	line := head[at+len("content-length:"):]
	r.left, _ = strconv.ParseInt(string(bytes.TrimSpace(line[:bytes.IndexByte(line, '\r')])), 10, 63)
	r.done = r.left == 0
	return nil
}

func (r *httpReader) reset() {
	*r = httpReader{head: r.head[:0], line: r.line[:0]}
}

// frameReader takes whole text frames of a server apart; they are short.
type frameReader struct{ rest []byte }

func (r *frameReader) feed(data []byte, message func(kind byte, text []byte)) {
	r.rest = append(r.rest, data...)
	at := 0
	for len(r.rest)-at >= 2 {
		kind, length, head := r.rest[at]&15, int(r.rest[at+1]&127), 2
		if length == 126 {
			if len(r.rest)-at < 4 {
				break
			}
			length, head = int(r.rest[at+2])<<8|int(r.rest[at+3]), 4
		} else if length == 127 {
			if len(r.rest)-at < 10 {
				break
			}
			length, head = 0, 10
			for _, part := range r.rest[at+2 : at+10] {
				length = length<<8 | int(part)
			}
		}
		if len(r.rest)-at < head+length {
			break
		}
		message(kind, r.rest[at+head:at+head+length])
		at += head + length
	}
	r.rest = append(r.rest[:0], r.rest[at:]...)
}

// textFrame masks with zeros: the mask is for proxies that there are none of here.
func textFrame(text []byte) []byte {
	frame := []byte{0x81}
	if len(text) < 126 {
		frame = append(frame, 0x80|byte(len(text)))
	} else {
		frame = append(frame, 0x80|126, byte(len(text)>>8), byte(len(text)))
	}
	return append(append(frame, 0, 0, 0, 0), text...)
}
