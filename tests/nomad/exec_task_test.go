package nomad

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// script runs one through ExecTask, as a script check does.
func (k *task) script(script string, timeout time.Duration) (*drivers.ExecTaskResult, error) {
	k.t.Helper()
	return k.call(timeout, "/bin/sh", "-c", script)
}

func (k *task) call(timeout time.Duration, command ...string) (result *drivers.ExecTaskResult, err error) {
	k.t.Helper()
	bounded(k.t, "ExecTask", func() { result, err = k.driver.ExecTask(k.id, command, timeout) })
	return result, err
}

func TestExecTask(t *testing.T) {
	k := start(t).steady(t)
	for script, code := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 2": 2, "kill -9 $$": 137} {
		r, err := k.script(script, *patience)
		if err != nil || r.ExitResult == nil || r.ExitResult.ExitCode != code {
			t.Errorf("%s: %+v, %v", script, r, err)
		}
	}
	// Nomad reads standard output only.
	r, err := k.script("echo to-out; echo to-err >&2; cat; echo opened > /proc/self/fd/2; exit 1", *patience)
	if err != nil || string(r.Stdout) != "to-out\nto-err\nopened\n" || len(r.Stderr) != 0 || r.ExitResult.ExitCode != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = k.script("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", *patience)
	if err != nil || len(r.Stdout) != 4096 || !strings.HasSuffix(string(r.Stdout), "line 2998\nline 2999\n") {
		t.Errorf("of long output: %d bytes, %v", len(r.Stdout), err)
	}
	// What is passed on by another process is heard, a little longer than the command.
	r, err = k.script("(while kill -0 $$ 2>/dev/null; do sleep 0.01; done; echo late; exec sleep 600) & echo early; exit 1", *patience)
	if err != nil || string(r.Stdout) != "early\nlate\n" || r.ExitResult.ExitCode != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	// It has not run out of time then, if it had enough.
	eventually(t, "it ends in time", func() bool {
		r, err := k.script("sleep 600 & exit 3", 400*time.Millisecond)
		return err == nil && r.ExitResult.ExitCode == 3
	})
	// What it leaves behind is not waited for.
	begin := time.Now()
	if r, err = k.script("sleep 600 & echo done", *patience); err != nil || string(r.Stdout) != "done\n" || time.Since(begin) > 10*time.Second {
		t.Errorf("%+v, %v after %v", r, err, time.Since(begin))
	}
}

// TestExecTaskInput wants the /dev/null that a command has as its input to be nobody's to change. Mode 666 it has already.
func TestExecTaskInput(t *testing.T) {
	j := steady(`work_dir = "/"`)
	j.change = func(c *drivers.TaskConfig) { c.User = "root" }
	k := start(t).alloc(t).start(j)
	k.prints("ready")
	r, err := k.script("for fd in 0 1; do chmod 666 /proc/self/fd/$fd 2>&1 && echo changed $fd; done; exit 0", *patience)
	if err != nil || !strings.Contains(string(r.Stdout), "Read-only file system\nchanged 1\n") || strings.Contains(string(r.Stdout), "changed 0") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestExecTaskTimeout(t *testing.T) {
	k := start(t).steady(t)
	for _, script := range []string{"sleep 600; :", "trap '' HUP INT TERM; sleep 600 & sleep 600; :", "cat /dev/zero"} {
		begin := time.Now()
		_, err := k.script(script, 300*time.Millisecond)
		wantWords(t, err, "timeout", "300ms")
		wantUnknown(t, err)
		if took := time.Since(begin); took < 300*time.Millisecond || took > 10*time.Second {
			t.Errorf("%s: took %v", script, took)
		}
		k.alone()
	}
	_, err := k.script("exit 0", 0)
	wantWords(t, err, "timeout")
	_, err = k.script("exit 0", -time.Second)
	wantWords(t, err, "timeout")
	bounded(t, "ExecTask", func() {
		_, err = k.driver.wire.ExecTask(t.Context(), &proto.ExecTaskRequest{TaskId: k.id, Command: []string{"true"}})
	})
	wantWords(t, err, "timeout")
	bounded(t, "ExecTask", func() {
		_, err = k.driver.wire.ExecTask(t.Context(), &proto.ExecTaskRequest{
			TaskId: k.id, Command: []string{"true"}, Timeout: &durationpb.Duration{Seconds: 1<<63 - 1},
		})
	})
	if err != nil {
		t.Errorf("with the longest timeout: %v", err)
	}
}

// TestExecHeldUp has a task stop its own init, which it can where that is not the first process of a namespace.
func TestExecHeldUp(t *testing.T) {
	k := start(t).alloc(t).start(shell("echo ready; while [ ! -e go ]; do sleep 0.1; done; kill -STOP $PPID; echo stopped; while [ -e go ]; do sleep 0.1; done; kill -CONT $PPID; exec sleep 3600",
		`pid_mode = "host"`, `work_dir = "alloc"`))
	k.prints("ready")
	file := filepath.Join(k.task.SharedAllocDir, "go")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	k.prints("stopped")
	// Init starts nothing, but the answer comes, and no thread is left to wait.
	threads := k.driver.count(t, "task")
	_, err := k.script("sleep 600", 100*time.Millisecond)
	wantWords(t, err, "init did not start the command", "timeout of 100ms")
	var sessions []*session
	for range 40 {
		sessions = append(sessions, k.sh("sleep 600; :"))
	}
	// One that was about to end may have been counted before.
	eventually(t, "each has its thread", func() bool { return k.driver.count(t, "task") >= threads+38 })
	for _, s := range sessions {
		s.cancel()
	}
	eventually(t, "the sessions' threads are gone", func() bool { return k.driver.count(t, "task") <= threads+10 })
	// Nor do more than some wait for it, who have descriptors.
	for range 600 {
		sessions = append(sessions, k.sh("exit 7"))
	}
	refused := func() (n int) {
		for _, s := range sessions[40:] {
			if s.hasEnded() {
				n++
			}
		}
		return n
	}
	eventually(t, "the last are refused", func() bool { return refused() >= 80 })
	for _, s := range sessions[40:] {
		if s.hasEnded() {
			s.fails("not taken up")
		}
	}
	// Those that give up make room, though init has taken up none.
	threads = k.driver.count(t, "task")
	var left []*session
	for _, s := range sessions[40:] {
		if !s.hasEnded() && len(left) < 350 { // more than a socket has room for
			s.cancel()
			left = append(left, s)
		}
	}
	eventually(t, "they are gone", func() bool { return k.driver.count(t, "task") <= threads-len(left)+10 })
	last := k.sh("exit 7")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := last.over(); err != nil && strings.Contains(err.Error(), "not taken up") {
		t.Errorf("there is no room: %v", err)
	}
	eventually(t, "all others have their turn", func() bool { return refused() == 600 })
	k.sh("exit 7").ends(7)
	// What it took up too late was killed.
	k.alone()
}

func TestExecTaskRefusals(t *testing.T) {
	k := start(t).steady(t)
	for want, command := range map[string][]string{
		"/no/such/command": {"/no/such/command"}, "no-such-command": {"no-such-command"}, "command": nil,
	} {
		_, err := k.call(*patience, command...)
		wantWords(t, err, want)
		wantUnknown(t, err)
	}
	_, err := (&task{alloc: k.alloc, id: unknownID}).script("exit 0", *patience)
	wantWords(t, err, "task not found for given id")
	// A task that ends under it.
	ended := make(chan error)
	go func() {
		_, err := k.driver.ExecTask(k.id, []string{"sleep", "600"}, time.Hour)
		ended <- err
	}()
	eventually(t, "the command runs", func() bool { return len(members(k.cgroup)) == 3 })
	k.stop(0, "SIGKILL")
	bounded(t, "ExecTask", func() { err = <-ended })
	wantWords(t, err, "task", "ended")
	_, err = k.script("exit 0", *patience)
	wantWords(t, err, "ended")
}

// TestExecTaskOften leaves nothing behind, like a script check over months.
func TestExecTaskOften(t *testing.T) {
	k := start(t).steady(t)
	run := func(n int) {
		for i := range n {
			if r, err := k.script(fmt.Sprintf("exit %d", i%3), *patience); err != nil || r.ExitResult.ExitCode != i%3 {
				t.Fatalf("%+v, %v", r, err)
			}
		}
	}
	run(10)
	threads, descriptors := k.driver.count(t, "task"), k.driver.count(t, "fd")
	run(100)
	eventually(t, "the threads are as before", func() bool { return k.driver.count(t, "task") <= threads })
	eventually(t, "the descriptors are as before", func() bool { return k.driver.count(t, "fd") <= descriptors })
}
