package main

import "strconv"

// A token is "~<number>.<microseconds> ", both in base 36: its place in the answer, from 0, and when the provider sent it. Nothing of it
// is escaped in JSON, so that it is found in the bytes of any peer without parsing them.

func appendToken(to []byte, number int, at int64) []byte {
	to = append(to, '~')
	to = strconv.AppendInt(to, int64(number), 36)
	to = append(to, '.')
	to = strconv.AppendInt(to, at, 36)
	return append(to, ' ')
}

// tokenScanner finds tokens in bytes that may be cut anywhere.
type tokenScanner struct {
	state  byte
	number int64
	at     int64
}

const (
	outside = iota
	inNumber
	inTime
)

// scan calls found for each token that ends in data.
func (s *tokenScanner) scan(data []byte, found func(number int64, at int64)) {
	state, number, at := s.state, s.number, s.at
	for _, char := range data {
		if state == outside {
			if char == '~' {
				state, number, at = inNumber, 0, 0
			}
			continue
		}
		digit := int64(-1)
		if char >= '0' && char <= '9' {
			digit = int64(char - '0')
		} else if char >= 'a' && char <= 'z' {
			digit = int64(char-'a') + 10
		}
		switch {
		case digit >= 0 && state == inNumber:
			number = number*36 + digit
		case digit >= 0:
			at = at*36 + digit
		case char == '.' && state == inNumber:
			state = inTime
		case char == ' ' && state == inTime:
			state = outside
			found(number, at)
		case char == '~':
			state, number, at = inNumber, 0, 0
		default:
			state = outside
		}
	}
	s.state, s.number, s.at = state, number, at
}
