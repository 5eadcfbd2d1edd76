package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// histogram counts durations in microseconds in buckets of 2 %.
type histogram struct {
	buckets [1400]int64
	count   int64
	sum     float64
}

var bucketWidth = math.Log(1.02)

func (h *histogram) add(micros int64) {
	place := 0
	if micros > 1 {
		place = min(int(math.Log(float64(micros))/bucketWidth), len(h.buckets)-1)
	}
	h.buckets[place]++
	h.count++
	h.sum += float64(micros)
}

// at gives a quantile in milliseconds.
func (h *histogram) at(quantile float64) float64 {
	if h.count == 0 {
		return 0
	}
	rank := int64(math.Ceil(quantile * float64(h.count)))
	for place, count := range h.buckets {
		if rank -= count; rank <= 0 {
			return math.Exp((float64(place)+0.5)*bucketWidth) / 1000
		}
	}
	return 0
}

func (h *histogram) figures() map[string]float64 {
	mean := 0.0
	if h.count > 0 {
		mean = h.sum / float64(h.count) / 1000
	}
	return map[string]float64{
		"count": float64(h.count), "mean": mean, "p50": h.at(0.5), "p90": h.at(0.9), "p99": h.at(0.99), "max": h.at(1),
	}
}

// cpuSeconds gives what a process has used, its threads included; 0 for one that is gone.
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

// memoryKib gives PSS and RSS of a process.
func memoryKib(pid int) (pss float64, rss float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		size, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "Pss:":
			pss = size
		case "Rss:":
			rss = size
		}
	}
	return pss, rss
}
