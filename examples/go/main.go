// Parley from Go, with nothing but the code that its protos give: sends a message, prints the answer while it is written, and goes on after the
// last event when the connection is cut.
//
//	go run . -address 127.0.0.1:8080 "How do I add a provider?"
//
// PARLEY_TOKEN is the token to call with; without it, PARLEY_EMAIL and PARLEY_PASSWORD sign in.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	chatv1 "parley.example/gen/parley/chat/v1"
	identityv1 "parley.example/gen/parley/identity/v1"
)

const (
	callTimeout = 30 * time.Second
	// Attempts in a row without a new event, and the longest pauses between them.
	mostAttempts = 10
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
)

func main() {
	address := flag.String("address", "127.0.0.1:8080", "where Parley is, as host:port")
	secure := flag.Bool("tls", false, "use TLS, with the certificates that this machine trusts")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "Usage: %s [flags] MESSAGE\n", os.Args[0])
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt)
	defer end()
	if err := run(ctx, *address, *secure, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address string, secure bool, message string) error {
	transport := insecure.NewCredentials()
	if secure {
		transport = credentials.NewTLS(nil)
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer connection.Close()

	token, err := token(ctx, connection)
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	completed, err := ask(ctx, chatv1.NewChatServiceClient(connection), message, os.Stdout)
	if err != nil {
		return err
	}
	fmt.Println()
	for _, citation := range completed.GetCitations() {
		fmt.Printf("[%d] %s\n", citation.GetNumber(), citation.GetDocumentTitle())
	}
	return nil
}

// token is the one of the environment, or that of a sign-in.
func token(ctx context.Context, connection *grpc.ClientConn) (string, error) {
	if token := os.Getenv("PARLEY_TOKEN"); token != "" {
		return token, nil
	}
	email, password := os.Getenv("PARLEY_EMAIL"), os.Getenv("PARLEY_PASSWORD")
	if email == "" || password == "" {
		return "", errors.New("set PARLEY_TOKEN, or PARLEY_EMAIL and PARLEY_PASSWORD")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := &identityv1.SignInRequest{Email: email, Password: password}
	response, err := identityv1.NewIdentityServiceClient(connection).SignIn(ctx, request)
	if err != nil {
		return "", err
	}
	return response.GetTokens().GetAccessToken(), nil
}

// A reader of one turn: where it is, and what opens the next connection.
type reader struct {
	chat     chatv1.ChatServiceClient
	request  *chatv1.StreamReplyRequest
	turnID   string
	sequence int32
}

// What StreamReply and ResumeReply have in common.
type events func() (*chatv1.TurnEvent, error)

// ask sends the message and writes the answer to out, over as many connections as it takes. It returns the answer as it is stored.
func ask(ctx context.Context, chat chatv1.ChatServiceClient, message string, out io.Writer) (*chatv1.Message, error) {
	// The name makes sending the message again harmless: the same name never makes a second turn.
	name := make([]byte, 16)
	if _, err := rand.Read(name); err != nil {
		return nil, err
	}
	turn := &reader{chat: chat, request: &chatv1.StreamReplyRequest{Message: message, ClientMessageId: hex.EncodeToString(name)}}
	for failures := 0; ; {
		before := turn.sequence
		answer, err := turn.read(ctx, out)
		if answer != nil || ctx.Err() != nil || !isCut(err) {
			return answer, err
		}
		if turn.sequence > before {
			failures = 0
		}
		if failures++; failures >= mostAttempts {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "cut after event %d (%v): resuming\n", turn.sequence, status.Code(err))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause(failures)):
		}
	}
}

// open connects: the message is sent until its turn is known, and the turn resumed from then on.
func (r *reader) open(ctx context.Context) (events, error) {
	if r.turnID == "" {
		stream, err := r.chat.StreamReply(ctx, r.request)
		if err != nil {
			return nil, err
		}
		return func() (*chatv1.TurnEvent, error) { response, err := stream.Recv(); return response.GetEvent(), err }, nil
	}
	stream, err := r.chat.ResumeReply(ctx, &chatv1.ResumeReplyRequest{TurnId: r.turnID, AfterSequence: r.sequence})
	if err != nil {
		return nil, err
	}
	return func() (*chatv1.TurnEvent, error) { response, err := stream.Recv(); return response.GetEvent(), err }, nil
}

// read follows one connection. The answer when the turn is complete, an error for everything else.
func (r *reader) read(ctx context.Context, out io.Writer) (*chatv1.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	for {
		event, err := next()
		if errors.Is(err, io.EOF) {
			return nil, status.Error(codes.Unavailable, "the stream ended before the turn did")
		}
		if err != nil {
			return nil, err
		}
		if event.GetSequence() <= r.sequence {
			continue
		}
		if event.GetFirstSequence() != r.sequence+1 {
			return nil, fmt.Errorf("event %d came after event %d", event.GetFirstSequence(), r.sequence)
		}
		r.turnID, r.sequence = event.GetTurnId(), event.GetSequence()
		switch kind := event.GetEvent().(type) {
		case *chatv1.TurnEvent_Delta:
			if _, err := io.WriteString(out, kind.Delta.GetText()); err != nil {
				return nil, err
			}
		case *chatv1.TurnEvent_Restarted:
			// The text until here no longer counts.
			if _, err := io.WriteString(out, "\n\n"); err != nil {
				return nil, err
			}
		case *chatv1.TurnEvent_Completed:
			return kind.Completed.GetMessage(), nil
		case *chatv1.TurnEvent_Stopped:
			return kind.Stopped.GetMessage(), nil
		case *chatv1.TurnEvent_Failed:
			failure := kind.Failed.GetFailure()
			return nil, fmt.Errorf("the turn failed: %s (%s)", failure.GetMessage(), failure.GetReason())
		}
		// Other kinds (routes, sources, notices, tools) are for those who show them.
	}
}

// isCut says whether the way to Parley broke, rather than Parley saying no.
func isCut(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Internal, codes.Canceled, codes.DeadlineExceeded:
		return true
	}
	return false
}

// pause is exponential backoff with full jitter: drawn between nothing and a bound that doubles.
func pause(failures int) time.Duration {
	return mathrand.N(min(longestPause, firstPause<<(failures-1))) + 1
}
