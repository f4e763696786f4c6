package nomad

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestInterruptIsSwallowed(t *testing.T) {
	d := start(t)
	k := d.alloc(t).start(shell(trapping))
	k.prints("ready")
	for range 3 {
		if err := syscall.Kill(d.pid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	d.answers(t)
	// The task has not inherited that: SIGINT is its default stop signal.
	k.stop(killTimeout, "")
	k.ends(42)
}

func TestShutdownLeavesTasks(t *testing.T) {
	d := start(t)
	k := d.alloc(t).start(shell(`echo ready; while :; do sleep 0.1; [ -e "$NOMAD_ALLOC_DIR/data/ask" ] && echo answer; done`))
	k.prints("ready")
	waiter := k.waiting()
	before := members(k.cgroup)
	bounded(t, "the plugin's end", d.client.Kill)
	// Killed by the client, as any plugin that takes two seconds, it would have no exit code.
	if state := d.cmd.ProcessState; state == nil || state.ExitCode() != 0 {
		t.Errorf("the plugin ended with %v, want exit status 0", state)
	}
	if r := k.received(waiter); r.Err == nil {
		t.Errorf("a waiter was told that the task ended: %+v", *r)
	}
	if len(before) == 0 || len(members(k.cgroup)) == 0 {
		t.Fatal("the task ended with the plugin")
	}
	if err := os.WriteFile(filepath.Join(k.task.SharedAllocDir, "data", "ask"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	k.prints("answer")
	kill(t, k.cgroup)
}

// TestVanishedLogReader is an agent that crashed: what the plugin logs has no reader, and a new agent reattaches.
func TestVanishedLogReader(t *testing.T) {
	slow(t)
	b := launchBare(t, cookie()...)
	line := b.handshake(t)
	d := b.reattach(t, line)
	d.configure(t)
	a := d.alloc(t)
	k := a.start(shell(trapping))
	k.prints("ready")
	b.stderr.Close()
	b.stdout.Close()
	other := d.alloc(t)
	for range 100 { // each is something to log
		other.refused(shell("exit 0", `work_dir = "/no/such/dir"`))
	}
	d.answers(t)
	if !k.running() {
		t.Error("the task is dead")
	}
	k.stop(killTimeout, "SIGTERM")
	k.ends(55)
	k.destroy()
	bounded(t, "the plugin's end", d.client.Kill)
	if err := <-b.ended; err != nil {
		t.Errorf("the plugin ended with %v", err)
	}
}

// TestNothingIsLeft counts what a task costs the plugin before and after.
func TestNothingIsLeft(t *testing.T) {
	d := start(t)
	live := func() {
		a := d.alloc(t)
		k := a.start(shell(`sleep 600 & echo ready; while :; do sleep 0.1; done`))
		k.prints("ready")
		if files := filesBelow(t, d.state); len(files) == 0 {
			t.Error("a running task has no record to recover it by")
		}
		k.destroy()
		a.refused(shell("exit 0", `work_dir = "/no/such/dir"`), "/no/such/dir")
		a.refused(job{config: `command = "/no/such/command"`}, "/no/such/command")
		if left := members(a.cgroup); len(left) > 0 {
			t.Errorf("processes left: %v", left)
		}
	}
	for range 3 { // what the plugin makes once
		live()
	}
	descriptors, threads := d.count(t, "fd"), d.count(t, "task")
	for range 10 {
		live()
	}
	eventually(t, "the descriptors are as before", func() bool { return d.count(t, "fd") <= descriptors })
	eventually(t, "the threads are as before", func() bool { return d.count(t, "task") <= threads })
	if files := filesBelow(t, d.state); len(files) > 0 {
		t.Errorf("left in state_dir: %v", files)
	}
	for _, m := range mountsBelow(host.dir) {
		if rel, err := filepath.Rel(d.state, m); err == nil && filepath.IsLocal(rel) {
			t.Errorf("left mounted: %s", m)
		}
	}
}

func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && path != dir {
			files = append(files, path)
		}
		return nil
	})
	return files
}
