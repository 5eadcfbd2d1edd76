package main

import (
	"fmt"
	"math/rand"
)

// open starts a window in which things count; shut ends it.
func (l *load) open() usage {
	l.window = figures{}
	l.windowAt, l.counts = nowMicros(), true
	return l.cpu()
}

func (l *load) shut(before usage) map[string]any {
	used := l.cpu().since(before)
	seconds := float64(nowMicros()-l.windowAt) / 1e6
	l.counts = false
	return map[string]any{
		"seconds": seconds, "cpu_seconds": used, "tokens": l.window.tokens, "turns": l.window.turns, "errors": l.window.errors,
		"lost": l.window.lost, "repeated": l.window.repeated, "late_ms": l.window.late.figures(),
		"first_ms": l.window.first.figures(), "turn_ms": l.window.turn.figures(), "words": shortest(l.window.words),
	}
}

// steady keeps a number of connections busy, each with one turn after the other.
func (l *load) steady() (map[string]any, error) {
	spec := l.spec
	sessions, err := spec.sessions(spec.Connections + spec.Probes)
	if err != nil {
		return nil, err
	}
	measured := 0
	pause, probePause := int64(spec.Pause*1e6), int64(spec.ProbePause*1e6)
	l.ended = func(t *talker) {
		if t.probe {
			l.schedule(t, l.now+probePause/2+rand.Int63n(probePause+1))
			return
		}
		if l.counts && t.sentAt >= l.windowAt {
			measured++
		}
		t.tokens = spec.Tokens
		l.schedule(t, l.now+pause)
	}
	start := nowMicros()
	for place := 0; place < spec.Connections; place++ {
		begin := start + int64(float64(place)/float64(spec.Connections)*spec.Stagger*1e6)
		// First answers of all lengths: from the beginning there are as many at each of their places as later on.
		first := spec.Tokens * (place + 1) / spec.Connections
		l.add(&talker{session: sessions[place], tokens: max(first, 1)}, begin)
	}
	l.run(start+int64((spec.Stagger+spec.Warm)*1e6), nil)
	before := l.open()
	l.run(l.windowAt+int64(spec.Measure*1e6), func() bool { return spec.Turns > 0 && measured >= spec.Turns })
	figures := l.shut(before)
	if spec.Memory {
		figures["memory"] = l.memory()
	}
	if spec.Probes > 0 {
		for place := 0; place < spec.Probes; place++ {
			l.add(&talker{session: sessions[spec.Connections+place], tokens: spec.ProbeTokens, probe: true},
				nowMicros()+rand.Int63n(300_000))
		}
		l.run(nowMicros()+700_000, nil)
		l.open()
		l.run(l.windowAt+int64(spec.ProbeSeconds*1e6), nil)
		l.counts = false
		figures["probe_first_ms"] = l.window.probeFirst.figures()
		figures["probe_errors"] = l.window.errors
	}
	return figures, nil
}

// held adds streams step by step, as long as their tokens come in time.
func (l *load) held() (map[string]any, error) {
	spec := l.spec
	most := spec.Steps[len(spec.Steps)-1]
	sessions, err := spec.sessions(most)
	if err != nil {
		return nil, err
	}
	l.ended = func(t *talker) {}
	steps := []any{}
	held, begun := 0, 0
	memory := map[int]any{}
	for _, wanted := range spec.Steps {
		last := int64(0)
		for begun < wanted {
			now := nowMicros()
			if l.unfirst < mostWaiting || now-last > longestWaiting {
				l.add(&talker{session: sessions[begun], tokens: spec.Tokens}, now)
				begun++
				last = now
			}
			l.run(now+1_000, nil)
			if now-last > 20_000_000 {
				break
			}
		}
		limit := nowMicros() + 5_000_000
		l.run(limit, func() bool { return l.unfirst == 0 })
		l.run(nowMicros()+700_000, nil)
		passed := false
		for try := 0; try < spec.Patience && !passed; try++ {
			before := l.open()
			l.run(l.windowAt+int64(spec.Measure*1e6), nil)
			figures := l.shut(before)
			expected := float64(wanted*spec.Rate) * figures["seconds"].(float64)
			share := float64(l.window.tokens) / expected
			late := l.window.late.at(0.99)
			// With no limit to lateness it is not about that, but about what holding so many takes.
			passed = spec.LateMs == 0 || late < spec.LateMs && share > 0.97 && l.window.errors == 0 && l.window.lost == 0
			steps = append(steps, map[string]any{
				"streams": wanted, "late_p50_ms": l.window.late.at(0.5), "late_p99_ms": late, "share": share, "passed": passed,
				"cpu_seconds": figures["cpu_seconds"], "seconds": figures["seconds"], "errors": l.window.errors,
				"words": figures["words"],
			})
		}
		if !passed {
			break
		}
		held = wanted
		if spec.Memory {
			memory[wanted] = l.memory()
		}
	}
	return map[string]any{"held": held, "steps": steps, "memory": memory}, nil
}

// resume lets every connection be cut once, at a random token, and go on from its cursor within a second.
func (l *load) resume() (map[string]any, error) {
	spec := l.spec
	sessions, err := spec.sessions(spec.Connections)
	if err != nil {
		return nil, err
	}
	ended, cut, lost, repeated, wrong := 0, 0, int64(0), int64(0), []string{}
	all := []*talker{}
	l.ended = func(t *talker) {
		r := t.resume
		if t.http.status != 200 || !r.whole {
			// A stream that ended early is resumed, as every client does.
			l.window.fail(fmt.Sprintf("status %d, %d tokens", t.http.status, r.next))
			r.again++
			l.close(t)
			l.schedule(t, l.now+200_000+rand.Int63n(300_000))
			return
		}
		ended++
		if r.wasCut {
			cut++
		}
		lost += r.lost + int64(spec.Tokens) - r.next
		repeated += r.repeated
		if r.final != int64(spec.Tokens) && len(wrong) < 5 {
			wrong = append(wrong, fmt.Sprintf("stored %d of %d tokens", r.final, spec.Tokens))
		}
		l.close(t)
	}
	started := nowMicros()
	last, begun := int64(0), 0
	before := l.open()
	for begun < spec.Connections {
		now := nowMicros()
		if l.unfirst < mostWaiting || now-last > longestWaiting {
			cutAt := int64(1 + rand.Intn(spec.Tokens-2))
			t := &talker{session: sessions[begun], tokens: spec.Tokens, resume: &resumption{cutAt: cutAt}}
			all = append(all, t)
			l.add(t, now)
			begun++
			last = now
		}
		l.run(now+1_000, nil)
	}
	l.run(started+int64(spec.Measure*1e6), func() bool { return ended == spec.Connections })
	figures := l.shut(before)
	figures["clients"], figures["ended"], figures["cut"] = spec.Connections, ended, cut
	figures["lost"], figures["repeated"], figures["wrong"] = lost, repeated, wrong
	figures["seconds"] = float64(nowMicros()-started) / 1e6
	return figures, nil
}
