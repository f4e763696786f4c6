package nomad

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers"
	"golang.org/x/sys/unix"
)

func TestOutputReachesTheLogFiles(t *testing.T) {
	a := start(t).alloc(t)
	k := a.start(shell("echo to-out; echo to-err >&2"))
	k.ends(0)
	k.destroy()
	if out := a.drained(); out != "to-out\n" || a.stderr() != "to-err\n" {
		t.Errorf("stdout %q, stderr %q", out, a.stderr())
	}
}

func TestExitCode(t *testing.T) {
	d := start(t)
	for script, code := range map[string]int{"exit 0": 0, "exit 7": 7, "exit 255": 255, "kill -9 $$": 137, "kill -TERM $$": 143} {
		t.Run(script, func(t *testing.T) { d.alloc(t).start(shell(script)).ends(code) })
	}
}

// trapping runs until one of these signals, whose number it adds to 40 for its exit code.
const trapping = `trap 'exit 42' INT; trap 'exit 55' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.1; done`

func TestStop(t *testing.T) {
	d := start(t)
	for signal, code := range map[string]int{"": 42, "SIGINT": 42, "SIGTERM": 55, "SIGKILL": 137} {
		t.Run("with "+signal, func(t *testing.T) {
			k := d.alloc(t).start(shell(trapping))
			k.prints("ready")
			k.stop(killTimeout, signal)
			if left := members(k.cgroup); len(left) > 0 {
				t.Errorf("StopTask returned before the task was gone: %v", left)
			}
			k.ends(code)
		})
	}
	t.Run("kills what ignores it", func(t *testing.T) {
		k := d.alloc(t).start(shell(`trap '' INT; echo ready; while :; do sleep 0.1; done`))
		k.prints("ready")
		begin := time.Now()
		k.stop(time.Second, "SIGINT")
		if took := time.Since(begin); took < 900*time.Millisecond || took > 10*time.Second {
			t.Errorf("took %v with a kill_timeout of 1s", took)
		}
		k.ends(137)
	})
	t.Run("without a timeout kills at once", func(t *testing.T) {
		k := d.alloc(t).start(shell(`trap '' INT; echo ready; while :; do sleep 0.1; done`))
		k.prints("ready")
		k.stop(0, "SIGINT")
		k.ends(137)
	})
	t.Run("after the end is no error", func(t *testing.T) {
		k := d.alloc(t).start(shell("exit 7"))
		k.ends(7)
		k.stop(time.Second, "SIGINT")
		k.ends(7)
	})
}

func TestSignal(t *testing.T) {
	k := start(t).alloc(t).start(shell(trapping))
	k.prints("ready")
	if err := k.signal("SIGUSR1"); err != nil {
		t.Errorf("SIGUSR1: %v", err)
	}
	k.prints("usr1")
	wantWords(t, k.signal("SIGNONSENSE"), "SIGNONSENSE")
	if !k.running() {
		t.Fatal("an unknown signal has ended the task")
	}
	if err := k.signal("SIGKILL"); err != nil {
		t.Errorf("SIGKILL: %v", err)
	}
	k.ends(137)
}

func TestTwoProcesses(t *testing.T) {
	d := start(t)
	if out := d.output(t, shell("echo /proc/[0-9]*")); out != "/proc/1 /proc/2\n" {
		t.Errorf("the task sees %q", out)
	}
	if out := strings.TrimSpace(d.output(t, job{config: "command = \"ps\"\nargs = [\"aux\"]"})); strings.Count(out, "\n") != 2 {
		t.Errorf("ps shows, with its heading:\n%s", out)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("LD_LIBRARY_PATH", "/of/the/agent")
	t.Setenv("LS_COLORS", "of-the-agent")
	t.Setenv("OF_THE_AGENT", "kept")
	d := start(t)
	a := d.alloc(t)
	k := a.start(job{config: `command = "env"`, env: map[string]string{"GREETING": "hello world", "EMPTY": "", "DISPLAY": ":7", "LD_PRELOAD": ""}})
	k.ends(0)
	got := map[string]string{}
	for line := range strings.Lines(a.drained()) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			t.Errorf("not NAME=VALUE: %q", line)
		}
		got[name] = value
	}
	for name, want := range map[string]string{
		"USER": a.user, "LOGNAME": a.user, "HOME": "/nonexistent", "TMPDIR": filepath.Join(a.task.MountsTaskDir, "tmp"),
		"NOMAD_TASK_DIR": filepath.Join(a.task.MountsTaskDir, "local"), "NOMAD_ALLOC_DIR": a.task.MountsAllocDir,
		"NOMAD_SECRETS_DIR": a.task.MountsSecretsDir, "NOMAD_ALLOC_ID": a.id, "NOMAD_TASK_NAME": taskName,
		"GREETING": "hello world", "EMPTY": "", "DISPLAY": ":7", "LD_PRELOAD": "", "OF_THE_AGENT": "kept",
		"NOMAD_WORK_DIR": filepath.Join(a.task.MountsTaskDir, "local"),
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s=%q (set: %v), want %q", name, value, ok, want)
		}
	}
	for _, name := range []string{"LD_LIBRARY_PATH", "LS_COLORS", "PLUGIN_PROTOCOL_VERSIONS", "NOMAD_PLUGIN_MAGIC_COOKIE"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s=%q reached the task", name, value)
		}
	}
}

func TestDirectories(t *testing.T) {
	a := start(t).alloc(t)
	// Each line proves one right, or one denial; the first that fails ends the script with its number.
	script := `for d in "$NOMAD_TASK_DIR" "$NOMAD_ALLOC_DIR" "$NOMAD_ALLOC_DIR/data" "$NOMAD_ALLOC_DIR/tmp" "$TMPDIR"; do
		mkdir "$d/made" && echo text > "$d/made/file" && rm -r "$d/made" || exit 1
	done
	echo text > "$NOMAD_TASK_DIR/a" && mv "$NOMAD_TASK_DIR/a" "$TMPDIR/b" && cat "$TMPDIR/b" > /dev/null || exit 2
	printf '#!/bin/sh\nexit 0\n' > "$NOMAD_TASK_DIR/run" && chmod +x "$NOMAD_TASK_DIR/run" && "$NOMAD_TASK_DIR/run" || exit 3
	cat "$NOMAD_SECRETS_DIR/given" && mkdir "$NOMAD_SECRETS_DIR/made" && mv "$NOMAD_SECRETS_DIR/made" "$NOMAD_SECRETS_DIR/own" || exit 4
	! mkdir "$NOMAD_TASK_DIR/../made" || exit 5
	! mkdir "` + a.task.PrivateDir + `/made" || exit 6`
	if _, err := os.Stat(a.task.PrivateDir); err != nil {
		t.Fatal(err) // it has to be there to be denied
	}
	if err := os.WriteFile(filepath.Join(a.task.MountsSecretsDir, "given"), []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a.start(shell(script)).ends(0)
}

func TestUser(t *testing.T) {
	a := start(t).alloc(t)
	a.start(shell(`id -u; id -g; id -G`)).ends(0)
	uid := strings.TrimPrefix(a.user, "nomad-")
	if out, want := a.drained(), fmt.Sprintf("%s\n%s\n%s\n", uid, uid, uid); out != want {
		t.Errorf("id prints %q, want %q", out, want)
	}
}

// TestPrivileges asks the command itself: a shell in between would change signals of its own accord. That the agent ignores some is no task's affair.
func TestPrivileges(t *testing.T) {
	signal.Ignore(unix.SIGHUP, unix.SIGUSR2)
	defer signal.Reset(unix.SIGHUP, unix.SIGUSR2)
	out := start(t).output(t, job{config: `command = "grep"
		args = ["-E", "^(NoNewPrivs|Cap[A-Z][a-z]+|SigIgn|SigBlk):", "/proc/self/status"]`})
	if n := strings.Count(out, "\n"); n != 8 {
		t.Errorf("%d lines of /proc/self/status:\n%s", n, out)
	}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(line, ":")
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64); err != nil || (n != 0) != (name == "NoNewPrivs") {
			t.Errorf("/proc/self/status: %q", line)
		}
	}
}

func TestCommand(t *testing.T) {
	d := start(t)
	a := d.alloc(t)
	if err := os.WriteFile(filepath.Join(a.task.LocalDir, "hello"), []byte("#!/bin/sh\nexit 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(a.task.LocalDir, "deep"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../hello", filepath.Join(a.task.LocalDir, "deep", "hello")); err != nil {
		t.Fatal(err)
	}
	// PATH comes first.
	if err := os.WriteFile(filepath.Join(a.task.LocalDir, "sh"), []byte("#!/bin/sh\nexit 8\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string]string{
		"by name through PATH":                "sh",
		"absolute":                            "/bin/sh",
		"interpolated":                        "${NOMAD_TASK_DIR}/hello",
		"with a slash, in the task directory": "local/hello",
		"with a slash, in local":              "deep/hello",
		"by name, in local":                   "hello",
	} {
		t.Run(name, func(t *testing.T) {
			k := a.in(t).start(job{config: fmt.Sprintf("command = %q\nargs = [\"-c\", \"exit 7\"]", command)})
			k.ends(7)
			k.destroy()
		})
	}
	for _, command := range []string{"no-such-command", "/no/such/command", "local/no-such-command"} {
		t.Run("missing "+command, func(t *testing.T) {
			d.alloc(t).refused(job{config: fmt.Sprintf("command = %q", command)}, filepath.Base(command), "ENOENT")
		})
	}
	t.Run("not executable", func(t *testing.T) {
		a := d.alloc(t)
		if err := os.WriteFile(filepath.Join(a.task.LocalDir, "text"), []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
		a.refused(job{config: `command = "local/text"`}, "local/text", "permission")
	})
}

func TestWorkDir(t *testing.T) {
	d := start(t)
	a := d.alloc(t)
	if err := os.Mkdir(filepath.Join(a.task.LocalDir, "deep"), 0o777); err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(a.task.MountsTaskDir, "local")
	for name, c := range map[string]struct{ option, want string }{
		"default":  {"", local},
		"relative": {`work_dir = "local/deep"`, local + "/deep"},
		"absolute": {`work_dir = "${NOMAD_ALLOC_DIR}/data"`, a.task.MountsAllocDir + "/data"},
	} {
		t.Run(name, func(t *testing.T) {
			// Inodes are compared, as the task's directories have two paths.
			script := fmt.Sprintf(`[ . -ef %q ] && [ "$NOMAD_WORK_DIR" -ef . ] || { pwd; echo "$NOMAD_WORK_DIR"; exit 1; } >&2`, c.want)
			k := a.in(t).start(shell(script, c.option))
			k.ends(0)
			k.destroy()
		})
	}
	d.alloc(t).refused(shell("exit 0", `work_dir = "local/missing"`), "local/missing")
}

// TestDefaultWorkDir has the job of a released Go version: its script's path is relative to the task's directory.
func TestDefaultWorkDir(t *testing.T) {
	script := job{config: "command = \"sh\"\nargs = [\"local/script\"]"}
	for option, works := range map[string]bool{`default_work_dir = "task"`: true, `default_work_dir = "local"`: false, "": false} {
		a := start(t, option).alloc(t)
		if err := os.WriteFile(filepath.Join(a.task.LocalDir, "script"), []byte("echo found; exec sleep 60"), 0o755); err != nil {
			t.Fatal(err)
		}
		k := a.start(script)
		if !works {
			if r := k.wait(); r.Successful() || a.drained() != "" {
				t.Errorf("%q: the script was found", option)
			}
			continue
		}
		k.prints("found")
		if out, _ := k.sh("pwd; echo $NOMAD_WORK_DIR; [ -x local/script ] && echo > made || echo denied").ends(0); out != strings.Repeat(a.task.MountsTaskDir+"\n", 2)+"denied\n" {
			t.Errorf("a session prints %q", out)
		}
	}
	a := start(t, `default_work_dir = "task"`).alloc(t)
	a.start(shell("pwd", `work_dir = "local"`)).ends(0)
	if out := a.drained(); out != a.task.MountsTaskDir+"/local\n" {
		t.Errorf("with a work_dir of its own a job starts in %q", out)
	}
	wantWords(t, launch(t).setConfig(t, agentConfig(), `default_work_dir = "/srv"`), "default_work_dir", `"/srv"`, `"task"`)
}

// TestWorkDirOutside starts where only unveil_by_task lets a task be.
func TestWorkDirOutside(t *testing.T) {
	dir := filepath.Join(host.dir, "outside")
	if err := errors.Join(os.Mkdir(dir, 0), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	option := fmt.Sprintf("work_dir = %q", dir)
	open, shut := start(t, "unveil_by_task = true"), start(t)
	for _, view := range []string{"host", "private"} {
		script := `pwd && echo "$NOMAD_WORK_DIR" && mkdir d && printf '#!/bin/sh\necho run\n' > d/x && chmod +x d/x && d/x && rm -r d`
		if out, want := open.output(t, shell(script, option, fmt.Sprintf("view = %q", view))), strings.Repeat(dir+"\n", 2)+"run\n"; out != want {
			t.Errorf("%s: %q, want %q", view, out, want)
		}
		shut.alloc(t).refused(shell("exit 0", option, fmt.Sprintf("view = %q", view)), "work_dir", dir)
		// Every task has a root; this is no unveil of the host's.
		script = fmt.Sprintf("pwd; ls -d %q 2>/dev/null || echo none", dir)
		if out := open.output(t, shell(script, `work_dir = "/"`, fmt.Sprintf("view = %q", view))); out != "/\nnone\n" {
			t.Errorf("%s: in / there is %q", view, out)
		}
	}
	open.alloc(t).refused(shell("exit 0", fmt.Sprintf("work_dir = %q", dir+"/missing")), "work_dir", dir+"/missing", "ENOENT")
}

// capable tells whether this process, and so the plugin, has an effective capability.
func capable(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[capability/32].Effective>>(capability%32)&1 == 1
}

func TestOomScoreAdj(t *testing.T) {
	d := start(t)
	wanted := map[string]string{"": "0\n", "oom_score_adj = 500": "500\n"}
	// The kernel wants CAP_SYS_RESOURCE for less than was inherited; some hosts keep it even from root.
	if capable(unix.CAP_SYS_RESOURCE) {
		wanted["oom_score_adj = -200"] = "-200\n"
	} else {
		d.alloc(t).refused(shell("exit 0", "oom_score_adj = -1000"), "oom_score_adj -1000", "EACCES")
	}
	for option, want := range wanted {
		if out := d.output(t, shell("cat /proc/self/oom_score_adj", option)); out != want {
			t.Errorf("%q gives %q, want %q", option, out, want)
		}
	}
	d.alloc(t).refused(shell("exit 0", "oom_score_adj = 1001"), "oom_score_adj", "1001")
	d.alloc(t).refused(shell("exit 0", "oom_score_adj = -1001"), "oom_score_adj", "-1001")
}

func TestInspect(t *testing.T) {
	k := start(t).alloc(t).start(shell(trapping))
	k.prints("ready")
	status, err := k.driver.InspectTask(k.id)
	if err != nil || status.ID != k.id || status.Name != taskName || status.State != drivers.TaskStateRunning {
		t.Errorf("of a running task: %+v, %v", status, err)
	}
	if age := time.Since(status.StartedAt); age < 0 || age > time.Hour {
		t.Errorf("started at %v", status.StartedAt)
	}
	k.stop(killTimeout, "SIGTERM")
	k.ends(55)
	status, err = k.driver.InspectTask(k.id)
	if err != nil || status.State != drivers.TaskStateExited || status.ExitResult == nil || status.ExitResult.ExitCode != 55 || status.CompletedAt.Before(status.StartedAt) {
		t.Errorf("of an ended task: %+v, %v", status, err)
	}
}
