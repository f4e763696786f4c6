package nomad

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers"
)

// TestLogCollectorRestarts takes the collector away from a task that writes: first slowly, then more than a pipe holds.
func TestLogCollectorRestarts(t *testing.T) {
	slow(t)
	a := start(t).alloc(t)
	const slow, burst = 60, 200 // the burst's lines have 1000 letters
	k := a.start(shell(fmt.Sprintf(`trap 'exit 9' PIPE
		x=0123456789; x=$x$x$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x$x$x
		i=0; while [ $i -lt %d ]; do echo "line $i" || exit 8; i=$((i+1)); sleep 0.1; done
		while ! [ -e "$NOMAD_ALLOC_DIR/data/burst" ]; do sleep 0.1; done
		while [ $i -lt %d ]; do echo "line $i $x" || exit 8; i=$((i+1)); done; exit 7`, slow, slow+burst)))
	a.prints("line 5\n")
	// Stop gives the task two seconds to close its end, and then leaves.
	bounded(t, "the collector's stop", func() { a.logmon.Stop() })
	seen := a.stdout()
	if !k.running() || strings.Contains(seen, fmt.Sprintf("line %d\n", slow-1)) {
		t.Fatal("the task should still be writing when its collector is gone")
	}
	if err := os.WriteFile(filepath.Join(a.task.SharedAllocDir, "data", "burst"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	a.collect()
	k.ends(7)
	i := 0
	for line := range strings.Lines(a.drained()) {
		if fields := strings.Fields(line); len(fields) < 2 || fields[0] != "line" || fields[1] != fmt.Sprint(i) {
			t.Fatalf("after line %d, in place of line %d: %.40q", i-1, i, line)
		}
		i++
	}
	if i != slow+burst {
		t.Errorf("%d lines of %d arrived", i, slow+burst)
	}
}

func TestLogsToDevNull(t *testing.T) {
	j := shell("echo gone; echo gone >&2; exit 7")
	j.change = func(c *drivers.TaskConfig) { c.StdoutPath, c.StderrPath = os.DevNull, os.DevNull }
	before, err := os.Stat(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	start(t).alloc(t).start(j).ends(7)
	after, err := os.Stat(os.DevNull)
	if err != nil || after.Mode() != before.Mode() || after.Sys().(*syscall.Stat_t).Uid != before.Sys().(*syscall.Stat_t).Uid {
		t.Errorf("/dev/null is now %v (%v)", after.Mode(), err)
	}
}

// TestLogPathIsNoPipe puts something else where the collector made its pipe, as a task's accomplice might.
func TestLogPathIsNoPipe(t *testing.T) {
	slow(t)
	d := start(t)
	for name, put := range map[string]func(path, target string) error{
		"link to a file":   func(path, target string) error { return os.Symlink(target, path) },
		"link to the pipe": func(path, target string) error { return os.Symlink(path+".moved", path) },
		"file":             func(path, _ string) error { return os.WriteFile(path, []byte("kept"), 0o600) },
		"directory":        func(path, _ string) error { return os.Mkdir(path, 0o700) },
		"nothing":          func(string, string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			a := d.alloc(t)
			a.start(shell("exit 7")).ends(7) // the collector has made its pipes, and the task can use them
			fifo := a.logs.StdoutFifo
			target := filepath.Join(host.dir, "victim")
			before := victim(t, target)
			j := shell("echo written")
			// Once the log collector's hook is through, and just before StartTask.
			j.change = func(*drivers.TaskConfig) {
				time.Sleep(100 * time.Millisecond) // the collector opens its pipes in the background
				if err := errors.Join(os.Rename(fifo, fifo+".moved"), put(fifo, target)); err != nil {
					t.Fatal(err)
				}
			}
			a.refused(j, fifo)
			if after := contents(t, target); after != before {
				t.Errorf("the link's target was %s and is %s", before, after)
			}
			if err := errors.Join(os.RemoveAll(fifo), os.Rename(fifo+".moved", fifo)); err != nil {
				t.Fatal(err)
			}
			a.start(shell("exit 7")).ends(7)
		})
	}
}

// victim makes a file that nobody but root may touch, and describes it.
func victim(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	return contents(t, path)
}

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	info, err2 := os.Stat(path)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q, %v, uid %d", text, info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
}

// TestLogPipesStay lets a task try to get rid of its log pipes by every path that leads to them.
func TestLogPipesStay(t *testing.T) {
	a := start(t).alloc(t)
	before := inode(t, a.logs.StdoutFifo)
	k := a.start(shell(`try() { "$@" 2>/dev/null && echo "done: $*"; }
		for logs in "$NOMAD_ALLOC_DIR/logs" "` + a.task.LogDir + `" "$NOMAD_TASK_DIR/../alloc/logs" /proc/self/cwd/../alloc/logs; do
			[ -p "$logs/.main.stdout.fifo" ] || echo "not there: $logs"
			try mv "$logs/.main.stdout.fifo" "$logs/.moved"
			try mv "$logs/.main.stdout.fifo" "$NOMAD_ALLOC_DIR/data/moved"
			try mv "$logs" "$logs-moved"
			try mv "$logs" "$NOMAD_ALLOC_DIR/data/logs"
			try ln -sf /etc/passwd "$logs/.main.stderr.fifo"
			try ln "$logs/.main.stdout.fifo" "$NOMAD_ALLOC_DIR/data/linked"
			try mkfifo "$logs/.new"
			try mkdir "$logs/new"
			try cp /bin/sh "$logs/new"
			try chmod 0666 "$logs/main.stdout.0"
			try rm -f "$logs/main.stdout.0" "$logs/.main.stdout.fifo"
			try rm -rf "$logs"
		done
		try mv "$NOMAD_ALLOC_DIR" "$NOMAD_ALLOC_DIR-moved"
		data="$NOMAD_ALLOC_DIR/data"
		mkfifo "$data/f" && mv "$data/f" "$data/g" && mkdir "$data/h" && mv "$data/g" "$data/h" && rm -r "$data/h" && echo control`))
	k.ends(0)
	if out := a.drained(); out != "control\n" {
		t.Errorf("the task has done:\n%s", out)
	}
	if after := inode(t, a.logs.StdoutFifo); after != before {
		t.Error("the pipe is another one")
	}
	inode(t, filepath.Join(a.task.LogDir, "main.stdout.0"))
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// TestRefusedStartInTheLog has every kind of start that fails say why in the task's stderr, and the next start of the same task log as ever.
func TestRefusedStartInTheLog(t *testing.T) {
	d := start(t, "unveil_by_task = true")
	for name, c := range map[string]struct {
		job  job
		want string
	}{
		"an option's value":   {shell("exit 0", `view = "all"`), `view: "all" is not`},
		"a value with others": {shell("exit 0", `cap_add = ["nonsense"]`), `"nonsense" is not the name of a capability`},
		"an unveil":           {shell("exit 0", `unveil = ["r:/no/such/path"]`), "unveil r:/no/such/path: "},
		"a command":           {job{config: `command = "/no/such/command"`}, "command /no/such/command: "},
		"a work_dir":          {shell("exit 0", `work_dir = "local/missing"`), "work_dir "},
		"a volume": {job{config: `command = "true"`, change: func(c *drivers.TaskConfig) {
			c.Mounts = []*drivers.MountConfig{{TaskPath: "/local/x", HostPath: "/no/such/volume"}}
		}}, `volume_mount "/local/x": `},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.alloc(t)
			_, err := a.try(c.job)
			if err == nil {
				t.Fatal("StartTask: started what it should have refused")
			}
			want := fmt.Sprintf("nomad-driver-exec2: not started: %s\n", strings.TrimPrefix(err.Error(), "rpc error: code = Unknown desc = "))
			eventually(t, "the reason arrives in the log", func() bool { return a.stderr() == want })
			if !strings.Contains(want, c.want) {
				t.Errorf("%q does not say %q", want, c.want)
			}
			a.start(shell("echo out; echo err >&2")).ends(0)
			if out := a.drained(); out != "out\n" || a.stderr() != want+"err\n" {
				t.Errorf("the next start: %q and %q", out, a.stderr())
			}
		})
	}
}

// TestRefusedStartFollowsNoLink has a task put a link, or a file, in the place of its log.
func TestRefusedStartFollowsNoLink(t *testing.T) {
	d := start(t)
	for name, put := range map[string]func(target, fifo string) error{"a link": os.Symlink, "a file": os.Link} {
		t.Run(name, func(t *testing.T) {
			a := d.alloc(t)
			target := filepath.Join(a.task.SharedAllocDir, "data", "target")
			if err := os.WriteFile(target, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			j := shell("exit 0", `view = "all"`)
			j.change = func(c *drivers.TaskConfig) {
				c.StderrPath += ".other"
				if err := put(target, c.StderrPath); err != nil {
					t.Fatal(err)
				}
			}
			a.refused(j, "view")
			if text, err := os.ReadFile(target); err != nil || len(text) > 0 {
				t.Errorf("what a task named was written to: %q (%v)", text, err)
			}
		})
	}
}
