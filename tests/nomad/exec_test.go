package nomad

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers/testutils"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func wantUnknown(t *testing.T, err error) {
	t.Helper()
	if code := status.Code(err); code != codes.Unknown {
		t.Errorf("status %v, want Unknown: %v", code, err)
	}
}

func TestExecConformance(t *testing.T) {
	k := start(t).steady(t)
	harness := testutils.NewDriverHarness(t, k.driver.DriverPlugin)
	defer harness.Kill()
	testutils.TestExecTaskStreamingBasicResponses(t, harness, k.id)
	// What that case has for a driver like this one is in TestExecSeesTheTasksFiles.
	t.Run("isolation", func(t *testing.T) {
		t.Skip("it wants a file that a task makes to be invisible on the host, under a private root; with unveil isolation paths are the host's")
	})
}

func TestExecSeesTheTasksFiles(t *testing.T) {
	k := start(t).steady(t)
	out, _ := k.sh(`f=$(mktemp) && echo text > "$f" && echo "$f"`).ends(0)
	path := strings.TrimSpace(out)
	if text, err := os.ReadFile(path); err != nil || string(text) != "text\n" || filepath.Dir(path) != filepath.Join(k.task.MountsTaskDir, "tmp") {
		t.Errorf("mktemp made %q, with %q, %v", path, text, err)
	}
	if out, _ := k.sh("cat " + path).ends(0); out != "text\n" {
		t.Errorf("read back: %q", out)
	}
	if out, _ := k.sh("cat /proc/self/cgroup").ends(0); !strings.HasSuffix(strings.TrimSpace(out), "."+taskName+".scope") {
		t.Errorf("/proc/self/cgroup: %q", out)
	}
}

// TestExecIsConfinedAsTheTask has the task's command and a session run one script, and wants no difference.
func TestExecIsConfinedAsTheTask(t *testing.T) {
	d := start(t, "unveil_by_task = true")
	open := filepath.Join(host.dir, "open")
	if err := os.WriteFile(open, []byte("granted\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`id -u; id -g; id -G; pwd; env | sort | grep -v ^_=; cat /proc/self/cgroup
		for ns in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$ns; done
		grep -E '^(Cap|NoNewPrivs|Groups|Seccomp|Sig(Blk|Cgt))' /proc/self/status; cat /proc/self/oom_score_adj; ulimit -n
		ls /proc/self/fd | tr '\n' ' '; cat %s; cat /etc/passwd; echo $?; echo > /etc/made; echo $?; kill -0 1; echo $?`, open)
	path := filepath.Join(host.dir, "script")
	if err := os.WriteFile(path, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	a := d.alloc(t)
	k := a.start(shell("sh "+path+" 2>&1; echo ready; exec sleep 3600", fmt.Sprintf(`unveil = ["r:%s", "r:%s"]`, open, path)))
	k.prints("ready")
	want := strings.TrimSuffix(a.stdout(), "ready\n")
	for _, tty := range []bool{false, true} {
		out, _ := k.exec(tty, "/bin/sh", "-c", "sh "+path+" 2>&1").ends(0)
		if out = strings.ReplaceAll(out, "\r\n", "\n"); out != want {
			t.Errorf("tty %v: a session sees\n%s\nand the task\n%s", tty, out, want)
		}
	}
	for _, line := range []string{"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "granted", "0::/"} {
		if !strings.Contains(want, line) {
			t.Errorf("not in what both see: %q\n%s", line, want)
		}
	}
	if strings.Contains(want, "root:") {
		t.Errorf("/etc/passwd was read:\n%s", want)
	}
}

func TestExecSignalsTheTask(t *testing.T) {
	k := start(t).alloc(t).start(shell(trapping))
	k.prints("ready")
	k.sh("kill -USR1 2").ends(0)
	k.prints("usr1")
}

func TestExecOutputs(t *testing.T) {
	k := start(t).steady(t)
	out, err := k.sh("echo to-out; echo to-err >&2").ends(0)
	if out != "to-out\n" || err != "to-err\n" {
		t.Errorf("stdout %q, stderr %q", out, err)
	}
	// As scripts do, who open what they hold already.
	out, err = k.sh("echo to-out > /proc/self/fd/1; echo to-err > /proc/self/fd/2").ends(0)
	if out != "to-out\n" || err != "to-err\n" {
		t.Errorf("opened anew: stdout %q, stderr %q", out, err)
	}
}

func TestExecExitCodes(t *testing.T) {
	k := start(t).steady(t)
	for _, tty := range []bool{false, true} {
		for script, code := range map[string]int{"exit 0": 0, "exit 43": 43, "exit 255": 255, "kill -9 $$": 137, "kill -TERM $$": 143} {
			k.exec(tty, "/bin/sh", "-c", script).ends(code)
		}
	}
	k.alone()
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(1)).Read(b)
	return b
}

func TestExecBulk(t *testing.T) {
	slow(t)
	k := start(t).steady(t)
	sent := noise(*bulk)
	begin := time.Now()
	s := k.exec(false, "cat")
	for rest := sent; len(rest) > 0; {
		n := min(len(rest), 100_000)
		s.input(rest[:n])
		rest = rest[n:]
	}
	s.endInput()
	out, _ := s.ends(0)
	if sha256.Sum256([]byte(out)) != sha256.Sum256(sent) {
		t.Errorf("%d of %d bytes came back, or others", len(out), len(sent))
	}
	t.Logf("%d bytes there and back in %v", len(sent), time.Since(begin))
	// Both outputs at once.
	n := strconv.Itoa(*bulk / 4)
	begin = time.Now()
	o, e := k.sh("head -c " + n + " /dev/zero >&2 & head -c " + n + " /dev/zero; wait").ends(0)
	if len(o) != *bulk/4 || len(e) != *bulk/4 {
		t.Errorf("stdout has %d bytes and stderr %d, want %s each", len(o), len(e), n)
	}
	t.Logf("%s bytes of each output in %v", n, time.Since(begin))
}

// TestExecUnreadInput has a command that reads nothing: what the client sends then must not hold up what the command says, or its end.
func TestExecUnreadInput(t *testing.T) {
	k := start(t).steady(t)
	for _, tty := range []bool{false, true} {
		s := k.exec(tty, "/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 7")
		go func() {
			for range 20 {
				s.input(bytes.Repeat([]byte("y\n"), 50_000))
			}
			s.endInput()
		}()
		// A terminal echoes what it takes, too.
		if out, _ := s.ends(7); strings.Count(out, "x") != 1_000_000 {
			t.Errorf("tty %v: %d bytes of output", tty, strings.Count(out, "x"))
		}
	}
	// One that closes its input goes on.
	s := k.sh("exec <&-; echo closed; sleep 0.3; echo on; exit 3")
	s.shows("closed")
	s.input(noise(300_000))
	if out, _ := s.ends(3); out != "closed\non\n" {
		t.Errorf("output %q", out)
	}
	k.alone()
}

func TestExecInputEnds(t *testing.T) {
	k := start(t).steady(t)
	s := k.exec(false, "cat")
	s.heartbeat()
	s.input([]byte("one\n"))
	s.heartbeat()
	s.shows("one")
	s.resize(10, 10) // of no terminal: nothing to do
	s.input([]byte("two"))
	s.endInput()
	s.endInput()
	s.input([]byte("too late"))
	if out, _ := s.ends(0); out != "one\ntwo" {
		t.Errorf("output %q", out)
	}
	// Nomad's client never ends its requests; another one may.
	s = k.exec(false, "cat")
	s.input([]byte("all"))
	s.stream.CloseSend()
	if out, _ := s.ends(0); out != "all" {
		t.Errorf("output %q", out)
	}
	// And when nothing else is under way.
	s = k.exec(false, "cat")
	s.input([]byte("all"))
	s.shows("all")
	s.stream.CloseSend()
	if out, _ := s.ends(0); out != "all" {
		t.Errorf("output %q", out)
	}
}

// rss is the plugin's resident memory in KiB.
func (d *driver) rss(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(value)[0])
			return n
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

func TestExecSlowClient(t *testing.T) {
	k := start(t).steady(t)
	before := k.driver.rss(t)
	s := k.driver.open(t)
	s.setup(k.id, false, "cat", "/dev/zero")
	time.Sleep(2 * time.Second)
	if grown := k.driver.rss(t) - before; grown > 8<<10 {
		t.Errorf("the plugin has grown by %d KiB for a client that does not read", grown)
	}
	s.cancel()
	k.alone()
}

func TestExecClientVanishes(t *testing.T) {
	k := start(t).steady(t)
	threads, descriptors := 0, 0
	for round := range 2 {
		for name, leave := range map[string]func() *session{
			"while all is silent": func() *session { return k.sh("echo ready; sleep 600 & sleep 600; :") },
			"with input pending": func() *session {
				s := k.sh("echo ready; sleep 600; :")
				s.input(noise(300_000))
				return s
			},
			"in the middle of output": func() *session { return k.sh("echo ready; cat /dev/zero") },
			"ignoring signals":        func() *session { return k.sh("trap '' HUP INT TERM; echo ready; sleep 600; :") },
			"on a terminal":           func() *session { return k.exec(true, "/bin/sh", "-c", "trap '' HUP; echo ready; sleep 600; :") },
			"with a shell's job": func() *session {
				s := k.exec(true, "/bin/sh", "-i")
				s.input([]byte("echo rea''dy; sleep 600\n"))
				return s
			},
		} {
			s := leave()
			s.shows("ready")
			s.cancel()
			t.Run(name, func(t *testing.T) { (&task{alloc: k.in(t), id: k.id}).alone() })
		}
		// At once, wherever the session may be.
		for i := range 20 {
			s := k.sh("sleep 600; :")
			time.Sleep(time.Duration(i) * 200 * time.Microsecond)
			s.cancel()
		}
		k.driver.open(t).cancel()
		k.alone()
		if round == 0 { // what the plugin makes once
			time.Sleep(100 * time.Millisecond)
			threads, descriptors = k.driver.count(t, "task"), k.driver.count(t, "fd")
		}
	}
	eventually(t, "the threads are as before", func() bool { return k.driver.count(t, "task") <= threads })
	eventually(t, "the descriptors are as before", func() bool { return k.driver.count(t, "fd") <= descriptors })
}

func TestExecTaskEndsUnderSession(t *testing.T) {
	d := start(t)
	for _, tty := range []bool{false, true} {
		k := d.steady(t)
		s := k.exec(tty, "/bin/sh", "-c", "echo ready; sleep 600; :")
		s.shows("ready")
		idle := d.open(t) // and one that has not begun
		// Init serves one after the other: it has reported the first by now.
		k.sh("exit 0").ends(0)
		k.stop(0, "SIGKILL")
		if out, _ := s.ends(-1); strings.TrimSpace(out) != "ready" {
			t.Errorf("output %q", out)
		}
		k.sh("exit 0").fails("ended")
		k.destroy()
		k.sh("exit 0").fails("task not found")
		idle.setup(k.id, tty, "true")
		go idle.listen()
		idle.fails("task not found")
	}
}

// TestExecDaemon leaves a process behind that holds the session's pipes. The session shows what it says, but does not last as long.
func TestExecDaemon(t *testing.T) {
	k := start(t).steady(t)
	begin := time.Now()
	out, _ := k.sh("(while kill -0 $$ 2>/dev/null; do sleep 0.01; done; echo late; exec sleep 600) & echo now").ends(0)
	if took := time.Since(begin); out != "now\nlate\n" || took > 10*time.Second {
		t.Errorf("after %v: %q", took, out)
	}
	if n := len(members(k.cgroup)); n != 3 {
		t.Errorf("%d processes, want the one left behind to live on", n)
	}
}

func TestExecRefusals(t *testing.T) {
	d := start(t)
	k := d.steady(t)
	k.exec(false, "/no/such/command").fails("/no/such/command", "it is not there, or not unveiled")
	k.exec(true, "no-such-command").fails("command no-such-command: not found in PATH")
	k.exec(false, "/etc/passwd").fails("command /etc/passwd: it is not executable for user", "owner 0:0, mode 0644")
	k.exec(false).fails("command")
	k.exec(false, "").fails("command")
	(&task{alloc: k.alloc, id: unknownID}).sh("exit 0").fails("task not found for given id")
	for _, first := range []func(*session){(*session).heartbeat, func(s *session) { s.resize(1, 1) }, func(s *session) { s.input([]byte("x")) }} {
		s := d.open(t)
		first(s)
		go s.listen()
		s.fails("first message should always be setup")
	}
	s := d.open(t)
	s.stream.CloseSend()
	go s.listen()
	s.fails("first message should always be setup")
	k.alone()
	d.answers(t)
}

func TestExecAfterRecovery(t *testing.T) {
	d := start(t)
	k := d.steady(t)
	cut := k.sh("echo ready; sleep 600; :")
	cut.shows("ready")
	d.crash(t)
	if err := cut.over(); err == nil {
		t.Error("a session outlived its plugin")
	}
	k.recovered(d.successor(t))
	// Nobody could end it any more.
	k.alone()
	s := k.exec(true, "/bin/sh", "-c", "read line; echo got $line; exit 5")
	s.input([]byte("it\n"))
	if out, _ := s.ends(5); !strings.Contains(out, "got it") {
		t.Errorf("output %q", out)
	}
	k.sh("exit 6").ends(6)
	before := len(members(k.cgroup))
	s = k.sh("echo ready; sleep 600; :")
	s.shows("ready")
	eventually(t, "the session has two processes", func() bool { return len(members(k.cgroup)) >= before+2 })
	s.cancel()
	eventually(t, "the session's processes are gone", func() bool { return len(members(k.cgroup)) <= before })
}
