// The two ends of `make bench`: a provider that is never the bottleneck, and clients that are not either.
//
//	load upstream                   a fake OpenAI-compatible provider on a free port; its first line says which
//	load client < experiment.json   one experiment; its figures are one line of JSON
//
// Linux only, the standard library only. Each end is one thread around epoll: a goroutine per stream would cost more than some of
// what is measured.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

func main() {
	// Nothing here makes much garbage, and a collection must not be seen as somebody's late token.
	debug.SetGCPercent(400)
	runtime.LockOSThread()
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	var err error
	switch command {
	case "upstream":
		err = serveUpstream()
	case "client":
		err = runClient()
	default:
		err = fmt.Errorf("usage: load upstream | load client < experiment.json")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
