package nomad

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// terminal starts a script on a terminal.
func (k *task) terminal(script string) *session {
	k.t.Helper()
	return k.exec(true, "/bin/sh", "-c", script)
}

func TestExecTerminal(t *testing.T) {
	k := start(t).steady(t)
	out, err := k.terminal("tty; test -t 0 && test -t 1 && test -t 2 && echo all; : > /dev/tty && echo controlling; echo error >&2").ends(0)
	lines := strings.Split(strings.TrimSuffix(out, "\r\n"), "\r\n")
	// It is of a file system of the task's own, and has a name there. The host's are not there.
	if len(lines) != 4 || lines[0] != "/dev/pts/0" || !slices.Equal(lines[1:], []string{"all", "controlling", "error"}) || err != "" {
		t.Errorf("stdout %q, stderr %q", out, err)
	}
	// The session and its foreground process group are the command's own.
	if out, _ := k.terminal("set -- $(sed 's/.*) //' /proc/$$/stat); test $$ = $3 && test $$ = $4 && test $$ = $6 && echo leads").ends(0); out != "leads\r\n" {
		t.Errorf("output %q", out)
	}
	// It is the task's user's, and of no group that others of the task's are in.
	if out, _ := k.terminal("set -- $(ls -lnL /proc/self/fd/0); test $3 = $(id -u) && test $4 != $(id -g) && echo mine").ends(0); out != "mine\r\n" {
		t.Errorf("output %q", out)
	}
	// No rule is for it by its name, and no other is there.
	if out, _ := k.terminal(`echo stolen > /dev/pts/0 || echo denied`).ends(0); !strings.HasSuffix(out, "denied\r\n") || strings.Contains(out, "stolen") {
		t.Errorf("output %q", out)
	}
}

// TestExecTerminalNames tries names that the host's terminals have, and two sessions at a time.
func TestExecTerminalNames(t *testing.T) {
	k := start(t).steady(t)
	first := k.terminal("tty; read line; tty")
	first.shows("/dev/pts/0")
	script := `tty; for pts in 0 1 2 3 4 5 6 7 8 9; do test ! -e /dev/pts/$pts || echo there $pts; done; ls /dev/pts; (: > "$(tty)"); : > /dev/tty && echo controlling`
	out, _ := k.terminal(script).ends(0)
	lines := strings.Split(strings.TrimSuffix(out, "\r\n"), "\r\n")
	if len(lines) != 6 || !slices.Equal(lines[:3], []string{"/dev/pts/1", "there 0", "there 1"}) ||
		!strings.Contains(lines[3], "ermission denied") || !strings.Contains(lines[4], "ermission denied") || lines[5] != "controlling" {
		t.Errorf("output %q", out)
	}
	first.input([]byte("\n"))
	if out, _ := first.ends(0); !strings.HasSuffix(out, "/dev/pts/0\r\n") {
		t.Errorf("output %q", out)
	}
	// What is unveiled is the host's, in which it has a name too.
	k = start(t, "unveil_by_task = true").alloc(t).start(steady(`unveil = ["rw:/dev/pts"]`))
	k.prints("ready")
	if out, _ := k.terminal(`test "$(tty)" = "$(readlink /proc/self/fd/0)" && : > "$(tty)" && echo named`).ends(0); out != "named\r\n" {
		t.Errorf("output %q", out)
	}
}

// TestExecTerminalOfTheTasksOwn is in the private view, whose terminals no other task can have.
func TestExecTerminalOfTheTasksOwn(t *testing.T) {
	d := start(t)
	k := d.alloc(t).start(steady(`view = "private"`))
	k.prints("ready")
	script := `tty; echo named > "$(tty)"; : > /dev/tty && echo controlling; stty size`
	s := k.driver.open(t)
	s.setup(k.id, true, "/bin/sh", "-c", "sleep 0.2; "+script)
	s.resize(20, 30)
	go s.listen()
	if out, _ := s.ends(0); out != "/dev/pts/0\r\nnamed\r\ncontrolling\r\n20 30\r\n" {
		t.Errorf("output %q", out)
	}
	// Two at a time have two.
	first := k.terminal("echo ready; read line; ls /dev/pts")
	first.shows("ready")
	if out, _ := k.terminal("tty").ends(0); out != "/dev/pts/1\r\n" {
		t.Errorf("output %q", out)
	}
	first.input([]byte("\n"))
	if out, _ := first.ends(0); !strings.Contains(out, "0") || strings.Contains(out, "1") {
		t.Errorf("output %q", out)
	}
}

func TestExecTerminalSize(t *testing.T) {
	k := start(t).steady(t)
	// As the command line does: at once, and the last one counts.
	s := k.terminal("trap 'stty size' WINCH; sleep 0.5; stty size; echo ready; while :; do sleep 0.1; done")
	s.resize(50, 40)
	s.resize(48, 120)
	s.shows("48 120\r\nready")
	s.resize(10, 20)
	s.shows("10 20")
	s.resize(-1, 1<<20) // what no terminal has
	s.resize(33, 44)
	s.shows("33 44")
	s.press(3, "the command is gone", func() bool { return s.hasEnded() })
	s.ends(130)
}

// press sends a key until it has an effect: shells lose a signal that comes while they start a command.
func (s *session) press(key byte, what string, ok func() bool) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("key %#x, stdout so far: %q", key, s.stdout())
		}
	}()
	var last time.Time
	eventually(s.t, what, func() bool {
		if time.Since(last) > time.Second {
			last = time.Now()
			s.input([]byte{key})
		}
		return ok()
	})
}

func (s *session) hasEnded() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func TestExecTerminalSignals(t *testing.T) {
	k := start(t).steady(t)
	for key, code := range map[byte]int{3: 130, 0x1c: 131} { // Ctrl-C, Ctrl-\
		s := k.exec(true, "sleep", "600")
		s.press(key, "the command is gone", func() bool { return s.hasEnded() })
		s.ends(code)
	}
	// In an interactive shell it is the job that dies.
	s := k.exec(true, "/bin/sh", "-i")
	s.input([]byte("echo rea''dy; sleep 600\n"))
	s.shows("ready")
	eventually(t, "sleep runs", func() bool { return len(members(k.cgroup)) == 4 })
	s.press(3, "sleep is gone", func() bool { return len(members(k.cgroup)) == 3 })
	s.input([]byte("exit 9\n"))
	s.ends(9)
}

func TestExecTerminalInputEnds(t *testing.T) {
	k := start(t).steady(t)
	for typed, want := range map[string]string{"line\n": "line\r\nline\r\n", "part": "partpart", "": ""} {
		s := k.terminal("cat; echo; echo end; exit 4")
		s.input([]byte(typed))
		s.endInput()
		out, _ := s.ends(4)
		if out = strings.ReplaceAll(strings.ReplaceAll(out, "^D", ""), "\b", ""); out != want+"\r\nend\r\n" {
			t.Errorf("%q: %q", typed, out)
		}
	}
}

// TestExecTerminalBulk writes more than a terminal holds, in raw mode, where every byte counts.
func TestExecTerminalBulk(t *testing.T) {
	slow(t)
	k := start(t).steady(t)
	s := k.terminal("stty raw -echo; echo ready; head -c 300000 | cat; stty sane; exit 2")
	s.shows("ready")
	sent := noise(300_000)
	s.input(sent)
	if out, _ := s.ends(2); !strings.HasSuffix(out, string(sent)) {
		t.Errorf("%d bytes came back of %d, or others", len(out), len(sent))
	}
	// All that is said before the end arrives.
	for range 20 {
		if out, _ := k.terminal("head -c 20000 /dev/zero | tr '\\0' x").ends(0); len(out) != 20_000 {
			t.Errorf("%d bytes of 20000", len(out))
		}
	}
}

func TestExecTerminalLeavesChildren(t *testing.T) {
	k := start(t).steady(t)
	begin := time.Now()
	// It may write for ever, too.
	out, _ := k.terminal("(trap '' HUP; while echo more; do :; done) & sleep 0.1; echo end").ends(0)
	if took := time.Since(begin); took > 10*time.Second || !strings.Contains(out, "end\r\n") {
		t.Errorf("took %v, %d bytes", took, len(out))
	}
	k.alone()
}

func TestExecTerminalOpensFast(t *testing.T) {
	k := start(t).steady(t)
	var took []time.Duration
	for range 50 {
		begin := time.Now()
		s := k.driver.open(t)
		s.setup(k.id, true, "/bin/sh", "-c", "echo ready")
		if _, err := s.stream.Recv(); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begin))
		s.listen()
		s.ends(0)
	}
	slices.Sort(took)
	t.Logf("from ExecTaskStreaming to the first byte of a shell's echo: median %v, 9 of 10 in %v, worst %v", took[25], took[45], took[49])
}

// TestExecTerminalLetGo has a command that lets go of its terminal and opens it again, as what asks for a password does.
func TestExecTerminalLetGo(t *testing.T) {
	k := start(t).steady(t)
	s := k.terminal("exec </dev/null >/dev/null 2>&1; sleep 0.2; head -c 100000 /dev/zero | tr '\\0' x >/dev/tty; read line </dev/tty; echo got $line >/dev/tty; exit 5")
	s.input([]byte("it\n"))
	out, _ := s.ends(5)
	if n := strings.Count(out, "x"); n != 100_000 || !strings.HasSuffix(out, "got it\r\n") {
		t.Errorf("%d of 100000 bytes, then %q", n, out[max(0, len(out)-20):])
	}
	// Input that nobody takes is waited for, not asked after.
	s = k.terminal("exec </dev/null >/dev/null 2>&1; sleep 600; :")
	s.input(bytes.Repeat([]byte("line\n"), 5_000))
	time.Sleep(100 * time.Millisecond)
	before := k.driver.cpuTime(t)
	time.Sleep(time.Second)
	if used := k.driver.cpuTime(t) - before; used > time.Second/2 {
		t.Errorf("the plugin has used %v of a second for a terminal where nothing happens", used)
	}
	s.cancel()
	k.alone()
}
