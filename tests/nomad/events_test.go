package nomad

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers"
	"golang.org/x/sys/unix"
)

// events opens the stream, and makes sure that the plugin has it.
func (d *driver) events(t *testing.T) <-chan *drivers.TaskEvent {
	t.Helper()
	stream, err := d.TaskEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.answers(t)
	time.Sleep(50 * time.Millisecond)
	return stream
}

// event waits for one whose message starts like this, and passes over others.
func event(t *testing.T, stream <-chan *drivers.TaskEvent, start string) *drivers.TaskEvent {
	t.Helper()
	for {
		select {
		case e := <-stream:
			if e == nil || e.Err != nil {
				t.Fatalf("the stream of events has ended: %+v", e)
			}
			t.Logf("event: %s %v", e.Message, e.Annotations)
			if strings.HasPrefix(e.Message, start) {
				return e
			}
		case <-time.After(*patience):
			t.Fatalf("no event %q in %v", start, *patience)
		}
	}
}

// about checks whose event it is.
func (k *task) about(e *drivers.TaskEvent) {
	k.t.Helper()
	if e.TaskID != k.id || e.AllocID != k.alloc.id || e.TaskName != taskName {
		k.t.Errorf("the event is about %q, %q, %q", e.TaskID, e.AllocID, e.TaskName)
	}
	if age := time.Since(e.Timestamp); age < 0 || age > time.Hour {
		k.t.Errorf("the event is of %v", e.Timestamp)
	}
}

func TestEventOfConfinement(t *testing.T) {
	d := start(t)
	streams := []<-chan *drivers.TaskEvent{d.events(t), d.events(t)}
	k := d.alloc(t).start(asleep())
	status, err := d.InspectTask(k.id)
	if err != nil {
		t.Fatal(err)
	}
	abi := status.DriverAttributes["landlock.abi"]
	number, err := strconv.Atoi(abi)
	if err != nil || number == 0 {
		t.Errorf("landlock.abi is %q", abi)
	}
	for _, stream := range streams {
		e := event(t, stream, "Confined by Landlock ABI "+abi)
		k.about(e)
		if e.Annotations["landlock_abi"] != abi {
			t.Errorf("annotations: %v", e.Annotations)
		}
		// Each kernel says what it lacks: ABI 9 is the first with pathname sockets.
		if lacks := strings.Contains(e.Message, "pathname unix sockets (kernel 7.1)"); lacks != (number < 9) {
			t.Errorf("ABI %d: %s", number, e.Message)
		}
	}
	// What is past is not told again.
	staysOpen(t, d.events(t))
}

func TestEventOfAMissingLogReader(t *testing.T) {
	d := start(t)
	stream := d.events(t)
	a := d.alloc(t)
	fifo := filepath.Join(a.task.LogDir, ".main.unread.fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(fifo)
	j := shell("echo waits in the pipe; exit 7")
	j.change = func(c *drivers.TaskConfig) { c.StdoutPath = fifo }
	k := a.start(j)
	e := event(t, stream, "Nothing reads the log FIFO "+fifo+":")
	k.about(e)
	if !strings.Contains(e.Message, "output waits in the pipe") || e.Annotations["log_reader"] != "missing" || e.Annotations["log_fifos"] != fifo {
		t.Errorf("%s %v", e.Message, e.Annotations)
	}
	k.ends(7)
}

// TestNoEventOfAPresentLogReader has a reader, which keeps on reading: looking for it must not look like the task's end.
func TestNoEventOfAPresentLogReader(t *testing.T) {
	d := start(t)
	stream := d.events(t)
	a := d.alloc(t)
	time.Sleep(200 * time.Millisecond) // the collector opens its pipes in the background
	k := a.start(shell("echo one; sleep 0.3; echo two; exit 7"))
	event(t, stream, "Confined")
	k.ends(7)
	k.destroy()
	if out := a.drained(); out != "one\ntwo\n" {
		t.Errorf("the collector has %q", out)
	}
	staysOpen(t, stream)
}

func TestEventOfADeniedCommand(t *testing.T) {
	d := start(t)
	stream := d.events(t)
	a := d.alloc(t)
	if err := os.WriteFile(filepath.Join(a.task.LocalDir, "text"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	k, err := a.try(job{config: `command = "local/text"`})
	wantWords(t, err, "permission")
	e := event(t, stream, "Denied: ")
	k.about(e)
	wantWords(t, errors.New(e.Message), "local/text", "permission", "not executable", "mode 0644")
	a.refused(job{config: `command = "local/none"`}, "command local/none", "not found in")
	staysOpen(t, stream)
}

// TestOom lets a task outgrow its memory, in every state in which its plugin can be.
func TestOom(t *testing.T) {
	needLimits(t)
	grow := shell(`echo ready; while ! [ -e "$NOMAD_ALLOC_DIR/data/go" ]; do sleep 0.1; done
		x=0123456789abcdef; i=0; while [ $i -lt 26 ]; do x="$x$x"; i=$((i+1)); done; exit 7`)
	grow.memory = 48
	for name, c := range map[string]struct {
		whole           bool // the kernel ends all of the task, init too, which then writes no status
		recovered, late bool // the plugin is killed before; and comes back only afterwards
	}{
		"one process":                    {},
		"the whole task":                 {whole: true},
		"recovered":                      {recovered: true},
		"recovered, the whole task":      {recovered: true, whole: true},
		"without a plugin":               {recovered: true, late: true},
		"whole task, without the plugin": {recovered: true, late: true, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t)
			stream := d.events(t)
			k := d.alloc(t).start(grow)
			k.prints("ready")
			if c.whole {
				if err := os.WriteFile(filepath.Join(k.cgroup, "memory.oom.group"), []byte("1"), 0); err != nil {
					t.Fatal(err)
				}
			}
			outgrow := func() {
				if err := os.WriteFile(filepath.Join(k.task.SharedAllocDir, "data", "go"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if c.recovered {
				d.crash(t)
				if c.late {
					outgrow()
					eventually(t, "the task has ended", func() bool { return len(members(k.cgroup)) == 0 })
				}
				next := d.successor(t)
				stream = next.events(t)
				k.recovered(next)
			}
			if !c.late {
				outgrow()
			}
			e := event(t, stream, "OOM killer took ")
			k.about(e)
			for _, words := range []string{"process", "memory.max 48 MiB", "peak 4"} {
				if !strings.Contains(e.Message, words) {
					t.Errorf("%q is not in %q", words, e.Message)
				}
			}
			if n, _ := strconv.Atoi(e.Annotations["oom_killed"]); n < 1 || c.whole && n < 2 {
				t.Errorf("%d processes of the task were killed", n)
			}
			if peak, _ := strconv.Atoi(e.Annotations["memory_peak"]); e.Annotations["memory_max"] != "50331648" || peak < 40<<20 || peak > 50331648 {
				t.Errorf("annotations: %v", e.Annotations)
			}
			if r := k.wait(); !r.OOMKilled || r.ExitCode != 137 || r.Signal != 9 || r.Err != nil {
				t.Errorf("ended with %+v, want OOMKilled, 137, 9", *r)
			}
		})
	}
}

// auditing has the kernel write its audit log while the test runs.
func auditing(t *testing.T) {
	t.Helper()
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_AUDIT)
	if err != nil {
		t.Skip("no audit: ", err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	// ask sends the status of linux/audit.h, as it began: mask, enabled, failure, pid, ...; and returns the answer's second number.
	ask := func(kind uint16, enabled uint32) uint32 {
		message := make([]byte, 48)
		for i, number := range []uint32{48, uint32(kind) | unix.NLM_F_REQUEST<<16, 0, 0, 1, enabled} {
			binary.NativeEndian.PutUint32(message[4*i:], number)
		}
		if kind == unix.AUDIT_SET {
			message[6] |= unix.NLM_F_ACK
		}
		answer := make([]byte, 512)
		if err := unix.Sendto(socket, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			t.Fatal(err)
		}
		for {
			n, _, err := unix.Recvfrom(socket, answer, 0)
			if err != nil {
				t.Fatal(err)
			}
			switch answered := binary.NativeEndian.Uint16(answer[4:]); {
			case answered == kind && n >= 48:
				return binary.NativeEndian.Uint32(answer[20:])
			case answered == unix.NLMSG_ERROR && (kind == unix.AUDIT_SET || binary.NativeEndian.Uint32(answer[16:]) != 0):
				if errno := -int32(binary.NativeEndian.Uint32(answer[16:])); errno != 0 {
					t.Skip("no audit: ", syscall.Errno(errno))
				}
				return 0
			}
		}
	}
	if ask(unix.AUDIT_GET, 0) == 0 {
		ask(unix.AUDIT_SET, 1)
		t.Cleanup(func() { ask(unix.AUDIT_SET, 0) })
	}
}

func TestDenialEvents(t *testing.T) {
	if abi, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); abi < 7 {
		t.Skipf("Landlock ABI %d writes no audit log", abi)
	}
	auditing(t)
	told, silent := start(t), start(t, "denial_events = false")
	stream, other := told.events(t), silent.events(t)
	read := shell("cat /etc/passwd; exit 7", "denial_events = true")
	quiet := silent.alloc(t).start(read)
	quiet.ends(7)
	event(t, other, "Confined")
	unasked := told.alloc(t).start(shell("cat /etc/group; exit 7"))
	unasked.ends(7)
	unasked.about(event(t, stream, "Confined"))
	k := told.alloc(t).start(read)
	e := event(t, stream, "Denied by Landlock: fs.read_file /etc/passwd")
	k.about(e)
	if e.Annotations["landlock_blockers"] != "fs.read_file" {
		t.Errorf("annotations: %v", e.Annotations)
	}
	k.ends(7)
	staysOpen(t, other)
}
