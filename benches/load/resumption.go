package main

import (
	"bytes"
	"fmt"
)

// resumption follows a turn of Parley event by event, over any number of connections: what a client does that keeps its cursor.
type resumption struct {
	turn     string
	sequence string
	next     int64
	lost     int64
	repeated int64
	final    int64 // tokens in the message of the last event
	whole    bool
	wasCut   bool
	again    int
	cutAt    int64
	line     []byte
}

func (r *resumption) request(spec *experiment, t *talker) []byte {
	r.line = r.line[:0]
	if r.turn == "" {
		return spec.request(t.session, t.tokens)
	}
	after := r.sequence
	if after == "" {
		after = "0"
	}
	return spec.http("GET", fmt.Sprintf("/api/v2/chat/turns/%s/events?after_sequence=%s", r.turn, after), "")
}

// feed counts whole events only: what was cut in the middle comes again.
func (r *resumption) feed(data []byte) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			r.line = append(r.line, data...)
			return
		}
		r.line = append(r.line, data[:end]...)
		data = data[end+1:]
		if bytes.HasPrefix(r.line, []byte("data:")) {
			r.event(r.line)
		}
		r.line = r.line[:0]
	}
}

func (r *resumption) event(line []byte) {
	if name := field(line, `"turn_id":"`); name != "" {
		r.turn = name
	}
	if place := field(line, `"sequence":`); place != "" {
		r.sequence = place
	}
	scanner, isLast := tokenScanner{}, bytes.Contains(line[:min(len(line), 300)], []byte(`"completed":`))
	scanner.scan(line, func(number, at int64) {
		switch {
		case isLast:
			if number == r.final {
				r.final++
			}
		case number < r.next:
			r.repeated++
		default:
			r.lost += number - r.next
			r.next = number + 1
		}
	})
	r.whole = r.whole || isLast
}

// cuts says once that it is time to hang up.
func (r *resumption) cuts() bool {
	if r.wasCut || r.next < r.cutAt || r.whole || r.turn == "" {
		return false
	}
	r.wasCut = true
	return true
}

func field(line []byte, name string) string {
	at := bytes.Index(line, []byte(name))
	if at < 0 {
		return ""
	}
	rest := line[at+len(name):]
	return string(rest[:max(bytes.IndexAny(rest, `",}`), 0)])
}
