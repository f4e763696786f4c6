package nomad

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRestart restarts a task in the same cgroup and directories, without a pause, over and over. A stop that is still
// watching the cgroup, or a late cgroup.kill, would hit the task after the one it was meant for: then the next one
// does not get as far as its own exit code.
func TestRestart(t *testing.T) {
	slow(t)
	a := start(t).alloc(t)
	run := func(i int) *task {
		k := a.start(shell(fmt.Sprintf(`trap 'exit 55' TERM; trap '' INT; echo > "$NOMAD_ALLOC_DIR/data/up-%d"; while :; do sleep 0.1; done`, i)))
		eventually(t, fmt.Sprintf("task %d is up", i), func() bool {
			_, err := os.Stat(filepath.Join(a.task.SharedAllocDir, "data", fmt.Sprintf("up-%d", i)))
			return err == nil
		})
		return k
	}
	k := run(0)
	for i := 1; i <= *restarts && !t.Failed(); i++ {
		// Every fourth ignores its signal, so that the stop escalates to cgroup.kill.
		signal, timeout, code := "SIGTERM", killTimeout, 55
		if i%4 == 0 {
			signal, timeout, code = "SIGINT", 20*time.Millisecond, 137
		}
		waiter := k.waiting()
		stopped := make(chan error, 1)
		go func(id string) { stopped <- k.driver.StopTask(id, timeout, signal) }(k.id)
		if i%2 == 0 { // as a caller that does one thing after the other; otherwise StopTask may still be under way
			if err := <-stopped; err != nil {
				t.Fatalf("restart %d: StopTask: %v", i, err)
			}
			stopped <- nil
		}
		if r := k.received(waiter); r.ExitCode != code || r.Err != nil {
			t.Fatalf("restart %d: the task before it ended with %+v, want %d", i, *r, code)
		}
		k.destroy()
		k = run(i)
		if err := <-stopped; err != nil {
			t.Fatalf("restart %d: StopTask: %v", i, err)
		}
		if i%10 == 0 {
			time.Sleep(600 * time.Millisecond) // for a stop that polls
		}
		if !k.running() {
			t.Fatalf("restart %d: the new task is dead", i)
		}
	}
	time.Sleep(time.Second)
	if !k.running() {
		t.Fatal("the last task is dead")
	}
	k.stop(killTimeout, "SIGTERM")
	k.ends(55)
}
