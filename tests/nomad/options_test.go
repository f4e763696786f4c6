package nomad

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/nomad/plugins/drivers"
	"golang.org/x/sys/unix"
)

// procStatus is a job that prints lines of its own /proc/self/status.
func procStatus(pattern string, extra ...string) job {
	return job{config: strings.Join(append(extra, `command = "grep"`, fmt.Sprintf(`args = ["-E", %q, "/proc/self/status"]`, pattern)), "\n")}
}

// sets wants all five capability sets of a task to be this one.
func (d *driver) sets(t *testing.T, want string, extra ...string) {
	t.Helper()
	var lines strings.Builder
	for _, set := range []string{"Inh", "Prm", "Eff", "Bnd", "Amb"} {
		fmt.Fprintf(&lines, "Cap%s:\t%s\n", set, want)
	}
	if out := d.output(t, procStatus("^Cap", extra...)); out != lines.String() {
		t.Errorf("%v: the task has\n%swant %s", extra, out, want)
	}
}

func TestCapAdd(t *testing.T) {
	const none = "0000000000000000"
	d := start(t)
	d.sets(t, none)
	d.sets(t, none, `cap_drop = ["all", "chown"]`)
	d.sets(t, "0000000000000420", `cap_add = ["CAP_KILL", "Net_Bind_Service"]`, `cap_drop = ["all"]`)
	// What is in both lists is dropped, and need not be allowed.
	d.sets(t, "0000000000000020", `cap_add = ["kill", "chown", "net_raw"]`, `cap_drop = ["CAP_CHOWN", "net_raw"]`)
	// One task with capabilities leaves the next one none.
	d.sets(t, none)
	d.alloc(t).refused(shell("exit 0", `cap_add = ["chown", "sys_time"]`), "cap_add", `"sys_time"`, "allow_caps")
	d.alloc(t).refused(shell("exit 0", `cap_add = ["nonsense"]`), "cap_add", `"nonsense"`, "not the name of a capability")
	d.alloc(t).refused(shell("exit 0", `cap_drop = ["nonsense"]`), "cap_drop", `"nonsense"`)
	d.alloc(t).refused(shell("exit 0", `cap_add = ["all"]`), "cap_add", `"all"`, "sys_admin")
	d = start(t, `allow_caps = ["SYS_NICE"]`)
	d.sets(t, "0000000000800000", `cap_add = ["sys_nice"]`)
	d.sets(t, "0000000000800000", `cap_add = ["sys_nice", "CAP_SYS_NICE"]`)
	d.alloc(t).refused(shell("exit 0", `cap_add = ["chown"]`), "chown", "allow_caps")
	start(t, "allow_caps = []").alloc(t).refused(shell("exit 0", `cap_add = ["chown"]`), "chown", "allow_caps")
}

// TestCapAddOfALack asks for what whoever started the plugin has not.
func TestCapAddOfALack(t *testing.T) {
	if capable(unix.CAP_SYS_RESOURCE) {
		t.Skip("this host gives root every capability; one that keeps sys_resource runs this test")
	}
	start(t, `allow_caps = ["all"]`).alloc(t).refused(shell("exit 0", `cap_add = ["sys_resource"]`), "cap_add", `"sys_resource"`, "this node does not give")
}

func TestCapAddOfAll(t *testing.T) {
	d := start(t, `allow_caps = ["all"]`)
	d.sets(t, strings.Repeat("0", 16))
	out := d.output(t, procStatus("^Cap(Eff|Bnd)", `cap_add = ["all"]`, `cap_drop = ["chown"]`))
	eff, bnd, _ := strings.Cut(strings.NewReplacer("CapEff:\t", "", "CapBnd:\t", "").Replace(strings.TrimSpace(out)), "\n")
	if eff != bnd || !strings.HasPrefix(eff, "000001ff") || !strings.HasSuffix(eff, "fe") {
		t.Errorf("a task with all but chown has %q", out)
	}
}

func TestCapAddInSessions(t *testing.T) {
	k := start(t).alloc(t).start(steady(`cap_add = ["kill"]`))
	k.prints("ready")
	if out, _ := k.exec(false, "grep", "CapEff", "/proc/self/status").ends(0); out != "CapEff:\t0000000000000020\n" {
		t.Errorf("a session has %q", out)
	}
}

func TestAllowCaps(t *testing.T) {
	for _, option := range []string{`allow_caps = ["chown", "nonsense"]`, `allow_caps = [""]`} {
		wantWords(t, launch(t).setConfig(t, agentConfig(), option), "allow_caps", "not the name of a capability")
	}
}

func TestUlimit(t *testing.T) {
	d := start(t)
	script := "ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -St"
	for _, option := range []string{`ulimit = { nofile = "70:80", core = "0", cpu = "60:unlimited" }`,
		"ulimit {\n nofile = \"70:80\"\n core = 0\n cpu = \"60:unlimited\"\n}"} {
		if out := d.output(t, shell(script, option)); out != "70\n80\n0\n60\n" {
			t.Errorf("%s: %q", option, out)
		}
	}
	k := d.alloc(t).start(steady(`ulimit = { nofile = "70:80" }`))
	k.prints("ready")
	if out, _ := k.sh("ulimit -n").ends(0); out != "70\n" {
		t.Errorf("a session has %q", out)
	}
	d.alloc(t).refused(shell("exit 0", `ulimit = { NOFILE = "1" }`), "ulimit", `"NOFILE"`, "nofile")
	d.alloc(t).refused(shell("exit 0", `ulimit = { nofile = "many" }`), "ulimit", "nofile", `"many"`)
	d.alloc(t).refused(shell("exit 0", `ulimit = { nofile = "9:8" }`), "ulimit", "9:8", "above")
	d.alloc(t).refused(shell("exit 0", `ulimit = { nofile = "unlimited" }`), "ulimit nofile to unlimited", "EPERM")
}

// TestDescriptors has a plugin that was given few descriptors take all that it may have, and its tasks get what it was given.
func TestDescriptors(t *testing.T) {
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	given := own.Max / 2
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: given, Max: own.Max}); err != nil {
		t.Fatal(err)
	}
	d := start(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.pid()))
	if want := fmt.Sprintf("Max open files            %-20d %-20d", own.Max, own.Max); err != nil || !strings.Contains(string(limits), want) {
		t.Errorf("the plugin's limits are %s (%v)", limits, err)
	}
	want := fmt.Sprintf("%d\n%d\n", given, own.Max)
	if out := d.output(t, shell("ulimit -Sn; ulimit -Hn")); out != want {
		t.Errorf("a task has %q, want %q", out, want)
	}
	k := d.alloc(t).start(steady())
	k.prints("ready")
	if out, _ := k.sh("ulimit -Sn; ulimit -Hn").ends(0); out != want {
		t.Errorf("a session has %q, want %q", out, want)
	}
	if out := d.output(t, shell("ulimit -Sn; ulimit -Hn", `ulimit = { nofile = "70:80" }`)); out != "70\n80\n" {
		t.Errorf("with an ulimit a task has %q", out)
	}
}

// TestUlimitAfterRecovery has a session of the next plugin get what the first one was told.
func TestUlimitAfterRecovery(t *testing.T) {
	d := start(t)
	k := d.alloc(t).start(steady(`ulimit = { nofile = "70:80" }`))
	k.prints("ready")
	d.crash(t)
	k.recovered(d.successor(t))
	if out, _ := k.sh("ulimit -n").ends(0); out != "70\n" {
		t.Errorf("a session has %q", out)
	}
}

func TestView(t *testing.T) {
	script := `ls /sys/kernel 2>&1; cd /local && echo x >/alloc/f && cat "$NOMAD_ALLOC_DIR/f" && echo y >/tmp/f && cat "$TMPDIR/f" && ls /secrets`
	missing := func(out string) bool {
		return strings.Contains(out, "/sys/kernel") && strings.HasSuffix(out, "No such file or directory\nx\ny\n")
	}
	d := start(t)
	if out := d.output(t, shell(script, `view = "private"`)); !missing(out) {
		t.Errorf("private: %q", out)
	}
	// The control.
	if out := d.output(t, shell("ls /sys/kernel 2>&1; exit 0", `view = "host"`)); !strings.Contains(out, "Permission denied") {
		t.Errorf("the host's tree: %q", out)
	}
	k := d.alloc(t).start(steady(`view = "private"`))
	k.prints("ready")
	if out, _ := k.sh("ls -d /sys/kernel 2>/dev/null || echo none; echo >/local/x").ends(0); out != "none\n" {
		t.Errorf("a session sees %q", out)
	}
	d.alloc(t).refused(shell("exit 0", `view = "all"`), "view", `"all"`, "host", "private")

	d = start(t, `require_view = "private"`, "no_pivot_root = true")
	if out := d.output(t, shell(script)); !missing(out) {
		t.Errorf("required: %q", out)
	}
	d.alloc(t).refused(shell("exit 0", `view = "host"`), "view", `"host"`, "require_view")
	// The former root is hidden below /proc; chroot leaves none.
	proc := job{config: "command = \"grep\"\nargs = [\"-c\", \" /proc \", \"/proc/self/mountinfo\"]\nview = \"private\""}
	if out := d.output(t, proc); out != "1\n" {
		t.Errorf("no_pivot_root: %s mounts of /proc", out)
	}
	if out := start(t).output(t, proc); out != "2\n" {
		t.Errorf("pivot_root: %s mounts of /proc", out)
	}
	wantWords(t, launch(t).setConfig(t, agentConfig(), `require_view = "host"`), "require_view", `"host"`, "private")
}

// TestProtectSystem has a task of root change the mode of a file that it may read.
func TestProtectSystem(t *testing.T) {
	file := filepath.Join(host.dir, "protected")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d := start(t, "unveil_by_task = true", `allow_caps = ["all"]`, `forbid_by_task = []`)
	root := func(options ...string) job {
		j := shell(fmt.Sprintf("chmod 600 %s 2>&1 && echo changed; exit 0", file), append(options, `work_dir = "/"`, fmt.Sprintf(`unveil = ["r:%s"]`, file))...)
		j.change = func(c *drivers.TaskConfig) { c.User = "root" }
		return j
	}
	for option, want := range map[string]string{"": "Read-only file system\n", `protect_system = "strict"`: "Read-only file system\n", `protect_system = "off"`: "changed\n"} {
		if out := d.output(t, root(option)); !strings.HasSuffix(out, want) {
			t.Errorf("%q: %q, want %q", option, out, want)
		}
	}
	d.alloc(t).refused(shell("exit 0", `protect_system = "full"`), "protect_system", `"full"`, "strict")
}

// TestVeil hides from a task what it was granted, in its sessions too.
func TestVeil(t *testing.T) {
	dir := filepath.Join(host.dir, "veiled")
	if err := os.MkdirAll(filepath.Join(dir, "secret"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret/key"), []byte("key\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := start(t, "unveil_by_task = true")
	script := fmt.Sprintf("cat %[1]s/secret/key 2>/dev/null; ls %[1]s/secret; exit 0", dir)
	unveil := fmt.Sprintf("unveil = [\"r:%s\"]", dir)
	for _, view := range []string{"host", "private"} {
		view = fmt.Sprintf("view = %q", view)
		if out := d.output(t, shell(script, unveil, view, `work_dir = "local"`)); out != "key\nkey\n" {
			t.Errorf("without a veil, %s: %q", view, out)
		}
		if out := d.output(t, shell(script, unveil, view, fmt.Sprintf("veil = [\"%s/secret\"]", dir))); out != "" {
			t.Errorf("%s: %q", view, out)
		}
	}
	d.alloc(t).refused(shell("exit 0", unveil, fmt.Sprintf("veil = [%q]", dir)), "veil", dir, "which unveil names")
	d.alloc(t).refused(shell("exit 0", fmt.Sprintf("veil = [\"%s/missing\"]", dir)), "veil", dir+"/missing", "not there")
	d.alloc(t).start(shell("exit 0", fmt.Sprintf("veil = [\"?%s/missing\"]", dir))).ends(0)
}

// TestForbidByTask has jobs move what the operator keeps at its safe value.
func TestForbidByTask(t *testing.T) {
	kept, open := start(t), start(t, `forbid_by_task = ["pid_mode"]`)
	for _, option := range []string{`seccomp = "off"`, `protect_system = "off"`} {
		name, _, _ := strings.Cut(option, " ")
		kept.alloc(t).refused(shell("exit 0", option), name, `"off"`, "forbid_by_task")
		open.alloc(t).start(shell("exit 0", option)).ends(0)
	}
	kept.alloc(t).refused(shell("exit 0", `ulimit = { rtprio = "9" }`), "ulimit.rtprio", "9 is refused", "forbid_by_task")
	kept.alloc(t).start(shell("exit 0", `ulimit = { rtprio = "0" }`)).ends(0)
	open.alloc(t).refused(shell("exit 0", `pid_mode = "host"`), "pid_mode", `"host"`, "forbid_by_task")
	kept.alloc(t).start(shell("exit 0", `pid_mode = "host"`)).ends(0)
	wantWords(t, launch(t).setConfig(t, agentConfig(), `forbid_by_task = ["args"]`), "forbid_by_task[0]", `"args"`, "seccomp")
}

// TestSeccomp has tasks look at whether they have a filter.
func TestSeccomp(t *testing.T) {
	d := start(t, `forbid_by_task = []`)
	status := func(options ...string) string {
		return d.output(t, shell("grep Seccomp: /proc/self/status", options...))
	}
	for option, want := range map[string]string{"": "2", `seccomp = "default"`: "2", `seccomp = "off"`: "0"} {
		if out := status(option); strings.Fields(out)[1] != want {
			t.Errorf("%q: %q, want mode %s", option, out, want)
		}
	}
	if out := start(t, `seccomp = "off"`).output(t, shell("grep Seccomp: /proc/self/status")); strings.Fields(out)[1] != "0" {
		t.Errorf("off for all: %q", out)
	}
}
