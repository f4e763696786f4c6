package nomad

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers"
	"github.com/hashicorp/nomad/plugins/drivers/fsisolation"
	"golang.org/x/sys/unix"
)

// crash ends the plugin as nothing could prepare it for.
func (d *driver) crash(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(d.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plugin is gone", func() bool { return d.client.Exited() })
}

// successor is a new plugin with the state_dir of one that is gone.
func (d *driver) successor(t *testing.T) *driver {
	t.Helper()
	next := launch(t)
	if err := next.setConfig(t, agentConfig(), fmt.Sprintf("state_dir = %q", d.state)); err != nil {
		t.Fatalf("SetConfig: %v", err)
	}
	next.state = d.state
	var err error
	if next.schema, err = next.TaskConfigSchema(); err != nil {
		t.Fatal(err)
	}
	return next
}

// stored is a handle as the client keeps it: written to its state and read back, without the driver's part of the configuration.
func (k *task) stored() *drivers.TaskHandle {
	k.t.Helper()
	handle := *k.handle
	handle.Config = k.config.Copy()
	raw, err := json.Marshal(handle.Config)
	if err != nil {
		k.t.Fatal(err)
	}
	handle.Config = new(drivers.TaskConfig)
	if err := json.Unmarshal(raw, handle.Config); err != nil {
		k.t.Fatal(err)
	}
	return &handle
}

// recoverWith goes on with the task in another plugin.
func (k *task) recoverWith(d *driver) error {
	k.t.Helper()
	k.driver = d
	var err error
	bounded(k.t, "RecoverTask", func() { err = d.RecoverTask(k.stored()) })
	return err
}

func (k *task) recovered(d *driver) {
	k.t.Helper()
	if err := k.recoverWith(d); err != nil {
		k.t.Fatalf("RecoverTask: %v", err)
	}
}

func TestRecoverRunning(t *testing.T) {
	d := start(t)
	a := d.alloc(t)
	k := a.start(shell(trapping))
	k.prints("ready")
	d.crash(t)
	next := d.successor(t)
	k.recovered(next)
	k.recovered(next) // a second time is no error
	if !k.running() {
		t.Error("the task does not run")
	}
	status, err := next.InspectTask(k.id)
	if err != nil || status.Name != taskName || time.Since(status.StartedAt) > time.Hour {
		t.Errorf("InspectTask: %+v, %v", status, err)
	}
	if err := k.signal("SIGUSR1"); err != nil {
		t.Errorf("SignalTask: %v", err)
	}
	k.prints("usr1")
	waiting := k.waiting()
	k.stop(*patience, "SIGTERM")
	if r := k.received(waiting); r.ExitCode != 55 || r.Err != nil {
		t.Errorf("ended with %+v, want the 55 of its handler", r)
	}
	k.destroy()
	if files := filesBelow(t, d.state); len(files) > 0 {
		t.Errorf("left in state_dir: %v", files)
	}
}

// A second crash finds the control socket in init once more.
func TestRecoverTwice(t *testing.T) {
	d := start(t)
	k := d.alloc(t).start(shell(trapping))
	k.prints("ready")
	for range 3 {
		d.crash(t)
		d = d.successor(t)
		k.recovered(d)
	}
	k.stop(*patience, "SIGINT")
	k.ends(42)
	k.destroy()
}

func TestRecoverEscalates(t *testing.T) {
	d := start(t)
	k := d.alloc(t).start(shell(`trap '' TERM; echo ready; while :; do sleep 0.1; done`))
	k.prints("ready")
	d.crash(t)
	k.recovered(d.successor(t))
	k.stop(300*time.Millisecond, "SIGTERM")
	if r := k.wait(); r.ExitCode != 137 || r.Signal != 9 {
		t.Errorf("ended with %+v, want SIGKILL", r)
	}
	k.destroy()
}

// What ends while no plugin lives keeps its exit status; and its cgroup may be gone by then.
func TestRecoverEnded(t *testing.T) {
	for name, c := range map[string]struct {
		script       string
		code, signal int
	}{
		"exit code": {"exit 7", 7, 0},
		"success":   {"exit 0", 0, 0},
		"signal":    {"kill -TERM $$", 143, 15},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t)
			a := d.alloc(t)
			gate := filepath.Join(a.dir.SharedDir, "data", "gate")
			k := a.start(shell(`while ! [ -e "${NOMAD_ALLOC_DIR}/data/gate" ]; do sleep 0.05; done; ` + c.script))
			d.crash(t)
			if err := os.WriteFile(gate, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the task has ended", func() bool { return len(members(a.cgroup)) == 0 })
			k.recovered(d.successor(t))
			if r := k.wait(); r.ExitCode != c.code || r.Signal != c.signal || r.Err != nil {
				t.Errorf("ended with %+v, want exit code %d, signal %d", *r, c.code, c.signal)
			}
			k.destroy()
		})
	}
}

// Nothing but a kill of init itself leaves no exit status: that is said, and not made up.
// TestUnanswered has a plugin that died before its answers: what it was asked for may be asked for once more, and what nobody asks for is cleared.
func TestUnanswered(t *testing.T) {
	d := start(t)
	a := d.alloc(t)
	k := a.start(shell(trapping))
	k.prints("ready")
	d.crash(t)
	record := filepath.Join(d.state, "never-answered")
	if err := os.Mkdir(record, 0o700); err != nil {
		t.Fatal(err)
	}
	next := d.successor(t)
	if _, err := os.Stat(record); !os.IsNotExist(err) {
		t.Errorf("%s: %v", record, err)
	}
	// The client has lost the answer: the same task, which runs.
	k.driver = next
	var err error
	bounded(t, "StartTask", func() { k.handle, _, err = next.StartTask(k.config) })
	if err != nil {
		t.Fatalf("StartTask once more: %v", err)
	}
	if !k.running() {
		t.Error("the task does not run")
	}
	k.stop(*patience, "SIGTERM")
	k.destroy()
	if files := filesBelow(t, d.state); len(files) > 0 {
		t.Errorf("left in state_dir: %v", files)
	}
}

func TestRecoverLost(t *testing.T) {
	d := start(t)
	a := d.alloc(t)
	k := a.start(shell(trapping))
	d.crash(t)
	kill(t, a.cgroup)
	eventually(t, "the task has ended", func() bool { return len(members(a.cgroup)) == 0 })
	k.recovered(d.successor(t))
	if r := k.wait(); r.Err == nil || !strings.Contains(r.Err.Error(), "no exit status") {
		t.Errorf("ended with %+v, want an error that says that the status is lost", *r)
	}
	k.destroy()
}

// rewrite changes the record of the one task below state_dir.
func (d *driver) rewrite(t *testing.T, change func(map[string]any)) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(d.state, "*", "task.json"))
	if len(files) != 1 {
		t.Fatalf("records: %v", files)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	saved := map[string]any{}
	if err := json.Unmarshal(raw, &saved); err != nil {
		t.Fatal(err)
	}
	change(saved)
	if raw, err = json.Marshal(saved); err == nil {
		err = os.WriteFile(files[0], raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A pid that means another process by now, or a boot that is over, must never be taken for the task.
func TestRecoverTellsProcessesApart(t *testing.T) {
	crashed := func() (*driver, *task, *driver) {
		d := start(t)
		k := d.alloc(t).start(shell(trapping))
		k.prints("ready")
		d.crash(t)
		return d, k, d.successor(t)
	}
	d, k, next := crashed()
	d.rewrite(t, func(saved map[string]any) { saved["boot_id"] = "another" })
	wantWords(t, k.recoverWith(next), "lost", "rebooted")
	// Nothing of another boot lives, and what its environment holds is not kept.
	if left, _ := filepath.Glob(filepath.Join(d.state, "*")); len(left) > 0 {
		t.Errorf("records: %v", left)
	}
	kill(t, k.cgroup)
	d, k, next = crashed()
	d.rewrite(t, func(saved map[string]any) { saved["pid"] = os.Getpid() }) // lives, but started at another time
	k.recovered(next)
	if r := k.wait(); r.Err == nil {
		t.Errorf("another process was taken for the task: %+v", *r)
	}
	if err := k.driver.StopTask(k.id, 0, "SIGKILL"); err != nil {
		t.Errorf("StopTask: %v", err)
	}
	// This process would be dead now if it had been taken for the task.
	kill(t, k.cgroup)
}

func TestRecoverRefusals(t *testing.T) {
	d := start(t)
	k := d.alloc(t).start(shell(trapping))
	d.crash(t)
	next := d.successor(t)
	whole := k.handle.DriverState
	for name, c := range map[string]struct {
		state []byte
		words []string
	}{
		"nothing":          {nil, []string{"driver_state"}},
		"noise":            {[]byte("\x00\xff"), []string{"driver_state"}},
		"another version":  {[]byte(`{"version":99,"record":"/x"}`), []string{"version 99"}},
		"no record":        {[]byte(`{"version":1,"record":"` + d.state + `/none"}`), []string{"lost", "none"}},
		"the Go driver's":  {[]byte("\x84\xaaTaskConfig\xc0\xa9StartedAt\xc0\xa3PID\x07\xa6Cancel\xc0"), []string{"Go exec2 driver", "drain"}},
		"a path of others": {[]byte(`{"version":1,"record":"/tmp/x"}`), []string{"lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			k.handle.DriverState = c.state
			wantWords(t, k.recoverWith(next), c.words...)
			next.answers(t)
		})
	}
	d.rewrite(t, func(saved map[string]any) { saved["version"] = 99 })
	k.handle.DriverState = whole
	wantWords(t, k.recoverWith(next), "version 99")
	d.rewrite(t, func(saved map[string]any) { saved["version"] = 1; saved["id"] = "another" })
	wantWords(t, k.recoverWith(next), "another")
	kill(t, k.cgroup)
}

// The design's case: many tasks, some of which end while no plugin lives.
func TestRecoverMany(t *testing.T) {
	n, ending := *many, *many/10
	d := start(t)
	a := make([]*alloc, n)
	tasks := make([]*task, n)
	for i := range n {
		a[i] = d.alloc(t)
		script := "exec sleep 3600"
		if i < ending {
			script = fmt.Sprintf(`while ! [ -e "${NOMAD_ALLOC_DIR}/data/gate" ]; do sleep 0.2; done; exit %d`, i+1)
		}
		tasks[i] = a[i].start(shell(script))
	}
	d.crash(t)
	for i := range ending {
		if err := os.WriteFile(filepath.Join(a[i].dir.SharedDir, "data", "gate"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range ending {
		eventually(t, "the task has ended", func() bool { return len(members(a[i].cgroup)) == 0 })
	}
	next := d.successor(t)
	begun := time.Now()
	for _, k := range tasks {
		k.recovered(next)
	}
	t.Logf("R1: %d tasks recovered in %v, %v each", n, time.Since(begun), time.Since(begun)/time.Duration(n))
	for i, k := range tasks {
		if i < ending {
			k.ends(i + 1)
		} else if !k.running() {
			t.Errorf("task %d does not run", i)
		}
	}
	for _, k := range tasks[ending:] {
		k.stop(*patience, "SIGKILL")
		k.ends(137)
	}
	for _, k := range tasks {
		k.destroy()
	}
	if files := filesBelow(t, d.state); len(files) > 0 {
		t.Errorf("left in state_dir: %v", files)
	}
}

// TestRebootStartsAnew takes away what a reboot takes: the plugin, the task, all that was in memory file systems (records, sockets), and the
// client's mounts, which it does not make again. The client then starts the task anew in the directories that are left.
func TestRebootStartsAnew(t *testing.T) {
	for _, view := range []string{`view = "host"`, `view = "private"`} {
		d := start(t)
		a := d.alloc(t)
		k := a.start(shell(`echo kept > "$NOMAD_TASK_DIR/file"; cp "$NOMAD_TASK_DIR/file" "$NOMAD_ALLOC_DIR/data"; echo ready; sleep 600`, view))
		k.prints("ready")
		d.crash(t)
		kill(t, a.cgroup)
		for _, dir := range []string{a.task.MountsSecretsDir, a.task.MountsAllocDir, a.task.MountsTaskDir} {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Fatal(err)
			}
		}
		// For the end of this test, which unmounts them.
		t.Cleanup(func() {
			if err := a.task.Build(fsisolation.Unveil, nil, a.user); err != nil {
				t.Error(err)
			}
		})
		if err := os.RemoveAll(d.state); err != nil {
			t.Fatal(err)
		}
		next := d.successor(t)
		wantWords(t, k.recoverWith(next), "lost")
		a.driver = next
		script := `cat "$NOMAD_TASK_DIR/file" "$NOMAD_ALLOC_DIR/data/file" && for d in "$NOMAD_TASK_DIR" "$NOMAD_ALLOC_DIR" "$NOMAD_SECRETS_DIR" "$TMPDIR"; do
			echo text > "$d/made" && rm "$d/made" || exit 1
		done
		! echo > "$NOMAD_ALLOC_DIR/logs/made" && ! echo > "$NOMAD_TASK_DIR/../made" && ! ls "$NOMAD_TASK_DIR/../private" && pwd`
		k = a.start(shell(script, view))
		k.ends(0)
		if out := a.drained(); !strings.HasSuffix(out, "kept\nkept\n"+a.task.MountsTaskDir+"/local\n") {
			t.Errorf("%s: %q", view, out)
		}
	}
}
