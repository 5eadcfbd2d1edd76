package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// experiment is what is done to one peer.
type experiment struct {
	// How the peer is spoken to.
	Kind    string            `json:"kind"` // "sse", "socketio" or "unary"
	Address string            `json:"address"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"` // with {SESSION} and {MESSAGE}
	// Where a connection gets its session from, once; empty when there are none.
	SessionPath string `json:"session_path"`
	SessionBody string `json:"session_body"`

	// What is done: "load", "held" or "resume".
	Mode        string  `json:"mode"`
	Connections int     `json:"connections"`
	Tokens      int     `json:"tokens"`
	Rate        int     `json:"rate"`
	Stagger     float64 `json:"stagger"` // seconds over which the connections begin
	Warm        float64 `json:"warm"`    // seconds after that before anything counts
	Measure     float64 `json:"measure"` // seconds that count
	Pause       float64 `json:"pause"`   // seconds between two turns of a connection
	Turns       int     `json:"turns"`   // ends after so many measured ones, when that is earlier; 0: never
	// Further connections with short answers, after what counts for CPU: they ask for first tokens under load.
	Probes       int     `json:"probes"`
	ProbeTokens  int     `json:"probe_tokens"`
	ProbeSeconds float64 `json:"probe_seconds"`
	ProbePause   float64 `json:"probe_pause"`
	// Of "held".
	Steps    []int   `json:"steps"`
	LateMs   float64 `json:"late_ms"`
	Patience int     `json:"patience"` // how many windows a step may fail

	Watch  map[string][]int `json:"watch"` // processes by name
	Memory bool             `json:"memory"`
}

func runClient() error {
	spec := experiment{Method: "POST", LateMs: 100, Patience: 2}
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		return err
	}
	load, err := newLoad(&spec)
	if err != nil {
		return err
	}
	var figures map[string]any
	switch spec.Mode {
	case "held":
		figures, err = load.held()
	case "resume":
		figures, err = load.resume()
	default:
		figures, err = load.steady()
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(figures)
}

// sessions makes sessions beforehand, a few at a time: a turn that is measured goes on in one.
func (e *experiment) sessions(count int) ([]string, error) {
	made := make([]string, count)
	if e.SessionPath == "" {
		return made, nil
	}
	places, failures := make(chan int), make(chan error, count)
	var workers sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for place := range places {
				name, err := e.session()
				for try := 0; err != nil && try < 5; try++ {
					time.Sleep(200 * time.Millisecond)
					name, err = e.session()
				}
				if err != nil {
					failures <- err
				}
				made[place] = name
			}
		}()
	}
	for place := range made {
		places <- place
	}
	close(places)
	workers.Wait()
	select {
	case err := <-failures:
		return nil, err
	default:
		return made, nil
	}
}

func (e *experiment) session() (string, error) {
	request, err := http.NewRequest("POST", "http://"+e.Address+e.SessionPath, strings.NewReader(e.SessionBody))
	if err != nil {
		return "", err
	}
	for name, value := range e.Headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	var answer struct {
		Session struct {
			ID string `json:"session_id"`
		} `json:"session"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Session.ID == "" {
		return "", fmt.Errorf("no session: %s %s", response.Status, body)
	}
	return answer.Session.ID, nil
}

// request is what a connection sends for one turn, in HTTP or in Socket.IO.
func (e *experiment) request(session string, tokens int) []byte {
	mark := fmt.Sprintf("[[tokens=%d rate=%d]]", tokens, e.Rate)
	body := strings.NewReplacer("{MESSAGE}", "Say something. "+mark, "{SESSION}", session).Replace(e.Body)
	if e.Kind == "socketio" {
		return textFrame([]byte(body))
	}
	return e.http(e.Method, strings.ReplaceAll(e.Path, "{SESSION}", session), body)
}

func (e *experiment) http(method, path, body string) []byte {
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nhost: %s\r\n", method, path, e.Address)
	for name, value := range e.Headers {
		fmt.Fprintf(&request, "%s: %s\r\n", name, value)
	}
	if method != "GET" {
		fmt.Fprintf(&request, "content-length: %d\r\n", len(body))
	}
	request.WriteString("\r\n")
	request.WriteString(body)
	return request.Bytes()
}
