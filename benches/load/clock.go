package main

import (
	"syscall"
	"unsafe"
)

// nowMicros reads the machine's monotonic clock, which all processes share, in microseconds. The clock of package time begins with each process.
func nowMicros() int64 {
	var at syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&at)), 0)
	return at.Sec*1_000_000 + at.Nsec/1_000
}
