package nomad

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/proto"
)

var bulk = flag.Int("bulk", 4<<20, "bytes that are sent through an exec session in each direction")

// session is one ExecTaskStreaming call, on the wire: Nomad's client would neither resize nor go away at a chosen moment.
type session struct {
	t        *testing.T
	stream   proto.Driver_ExecTaskStreamingClient
	cancel   context.CancelFunc
	done     chan struct{} // closed when nothing more comes
	mu       sync.Mutex
	out, err bytes.Buffer
	closed   [2]int
	last     *proto.ExitResult
	failure  error  // what the stream ended with, nil for status OK
	amiss    string // against the order that Nomad's command line relies on
}

// open calls ExecTaskStreaming without sending anything.
func (d *driver) open(t *testing.T) *session {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := d.wire.ExecTaskStreaming(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &session{t: t, stream: stream, cancel: cancel, done: make(chan struct{})}
}

// exec starts a command beside the task's own and takes all that it says.
func (k *task) exec(tty bool, command ...string) *session {
	k.t.Helper()
	s := k.driver.open(k.t)
	s.setup(k.id, tty, command...)
	go s.listen()
	return s
}

// sh is exec of a script, without a terminal.
func (k *task) sh(script string) *session {
	k.t.Helper()
	return k.exec(false, "/bin/sh", "-c", script)
}

func (s *session) setup(id string, tty bool, command ...string) {
	s.send(&proto.ExecTaskStreamingRequest{Setup: &proto.ExecTaskStreamingRequest_Setup{TaskId: id, Command: command, Tty: tty}})
}

// send fails only when the session is over, which its end then shows.
func (s *session) send(m *proto.ExecTaskStreamingRequest) { s.stream.Send(m) }

func (s *session) heartbeat() { s.send(&proto.ExecTaskStreamingRequest{}) }

func (s *session) input(b []byte) {
	s.send(&proto.ExecTaskStreamingRequest{Stdin: &proto.ExecTaskStreamingIOOperation{Data: b}})
}

func (s *session) endInput() {
	s.send(&proto.ExecTaskStreamingRequest{Stdin: &proto.ExecTaskStreamingIOOperation{Close: true}})
}

func (s *session) resize(rows, columns int32) {
	s.send(&proto.ExecTaskStreamingRequest{TtySize: &proto.ExecTaskStreamingRequest_TerminalSize{Height: rows, Width: columns}})
}

func (s *session) listen() {
	defer close(s.done)
	for {
		m, err := s.stream.Recv()
		s.mu.Lock()
		if err != nil {
			if s.failure = err; errors.Is(err, io.EOF) {
				s.failure = nil
			}
			s.mu.Unlock()
			return
		}
		s.take(m)
		s.mu.Unlock()
	}
}

func (s *session) take(m *proto.ExecTaskStreamingResponse) {
	kinds := 0
	if s.last != nil {
		s.amiss = "a message after the last"
	}
	for i, op := range []*proto.ExecTaskStreamingIOOperation{m.Stdout, m.Stderr} {
		if op == nil {
			continue
		}
		kinds++
		if s.closed[i] > 0 {
			s.amiss = fmt.Sprintf("output %d goes on behind its end", i)
		}
		if op.Close {
			s.closed[i]++
		}
		[]*bytes.Buffer{&s.out, &s.err}[i].Write(op.Data)
	}
	if m.Exited {
		kinds++
		if s.last = m.Result; m.Result == nil {
			s.amiss = "the last message has no result"
		}
	}
	if kinds != 1 {
		s.amiss = fmt.Sprintf("a message of %d kinds", kinds)
	}
}

func (s *session) stdout() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// shows waits for text on standard output.
func (s *session) shows(text string) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("stdout so far: %q", s.stdout())
		}
	}()
	eventually(s.t, fmt.Sprintf("the session shows %q", text), func() bool { return bytes.Contains([]byte(s.stdout()), []byte(text)) })
}

// over waits for the end, and returns the error that the call ended with.
func (s *session) over() error {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(*patience):
		s.t.Fatalf("the session has not ended in %v; stdout %.200q, stderr %.200q", *patience, s.stdout(), s.err.String())
	}
	if s.amiss != "" {
		s.t.Errorf("Nomad would stumble over this session: %s", s.amiss)
	}
	return s.failure
}

// ends wants a regular end with this exit code, and returns both outputs.
func (s *session) ends(code int) (string, string) {
	s.t.Helper()
	if err := s.over(); err != nil {
		s.t.Fatalf("the session failed: %v", err)
	}
	if s.last == nil || int(s.last.ExitCode) != code {
		s.t.Errorf("the session ended with %v, want exit code %d; stdout %.200q, stderr %.200q", s.last, code, s.out.String(), s.err.String())
	}
	if s.closed[0] != 1 {
		s.t.Errorf("standard output was closed %d times", s.closed[0])
	}
	return s.out.String(), s.err.String()
}

// closeFrame is what the agent's websocket has room for in its last frame. It drops a longer reason.
const closeFrame = 123

// fails wants an error with these words, in a code that Nomad does not take for the plugin's death, and short enough for the CLI to see it.
func (s *session) fails(words ...string) {
	s.t.Helper()
	err := s.over()
	wantWords(s.t, err, words...)
	wantUnknown(s.t, err)
	if n := len(err.Error()); n > closeFrame {
		s.t.Errorf("the agent can't pass on %d bytes: %v", n, err)
	}
}

// steady is a job with one process beside init, for what is started next to it.
func steady(extra ...string) job { return shell("echo ready; exec sleep 3600", extra...) }

// steady starts that job.
func (d *driver) steady(t *testing.T) *task {
	t.Helper()
	k := d.alloc(t).start(steady())
	k.prints("ready")
	return k
}

// alone waits until the task has only its own two processes again.
func (k *task) alone() {
	k.t.Helper()
	eventually(k.t, "the session's processes are gone", func() bool { return len(members(k.cgroup)) == 2 })
	if !k.running() {
		k.t.Fatal("the task has ended with the session")
	}
}
