package nomad

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPidModeHost(t *testing.T) {
	ns := func(name string) string {
		link, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return link + "\n"
	}
	links := "readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc"
	d := start(t)
	if out := d.output(t, shell(links, `pid_mode = "host"`, `ipc_mode = "host"`)); out != ns("pid")+ns("ipc") {
		t.Errorf("the namespaces of the host are %q, the task's %q", ns("pid")+ns("ipc"), out)
	}
	d = start(t, `default_pid_mode = "host"`, `default_ipc_mode = "host"`)
	if out := d.output(t, shell(links)); out != ns("pid")+ns("ipc") {
		t.Errorf("by default the task is in %q", out)
	}
	private := strings.Fields(d.output(t, shell(links, `pid_mode = "private"`, `ipc_mode = "private"`)))
	if len(private) != 2 || private[0]+"\n" == ns("pid") || private[1]+"\n" == ns("ipc") {
		t.Errorf("the task's private namespaces are %q", private)
	}
	for _, option := range []string{"pid_mode", "ipc_mode"} {
		d.alloc(t).refused(shell("exit 0", option+` = "hots"`), option, `"hots"`, "private")
		wantWords(t, launch(t).setConfig(t, agentConfig(), "default_"+option+` = "hots"`), "default_"+option, `"hots"`)
	}
}

// TestPidModeHostEnds wants the end of a task to be that of all its processes, as with a namespace of its own.
func TestPidModeHostEnds(t *testing.T) {
	d := start(t, `default_pid_mode = "host"`)
	t.Run("by itself", func(t *testing.T) {
		k := d.alloc(t).start(shell(`(setsid sleep 3600 &); (setsid sleep 3600 &); exit 7`))
		k.ends(7)
		if left := members(k.cgroup); len(left) > 0 {
			t.Errorf("WaitTask was answered with processes left: %v", left)
		}
	})
	t.Run("by a stop", func(t *testing.T) {
		a := d.alloc(t)
		for range 2 {
			k := a.start(shell(`trap '' INT; (setsid sleep 3600 &); echo ready; while :; do sleep 0.1; done`))
			k.prints("ready")
			k.stop(0, "SIGINT")
			k.ends(137)
			k.destroy()
		}
	})
	t.Run("while no plugin runs", func(t *testing.T) {
		first := start(t, `default_pid_mode = "host"`)
		a := first.alloc(t)
		gate := filepath.Join(a.dir.SharedDir, "data", "gate")
		// One of init's session as well, which is init's pid for as long as it lasts.
		k := a.start(shell(`(setsid sleep 3600 &); (sleep 3600 &); while ! [ -e "${NOMAD_ALLOC_DIR}/data/gate" ]; do sleep 0.05; done; exit 7`))
		first.crash(t)
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the command has ended", func() bool { return len(members(a.cgroup)) == 2 })
		k.recovered(first.successor(t))
		k.ends(7)
		if left := members(k.cgroup); len(left) > 0 {
			t.Errorf("WaitTask was answered with processes left: %v", left)
		}
		k.destroy()
	})
}

func TestDeniedEnvvars(t *testing.T) {
	t.Setenv("AGENT_TOKEN", "x")
	d := start(t, `denied_envvars = ["*_TOKEN", "JOB_A*"]`)
	j := job{config: "command = \"env\"\ndenied_envvars = [\"SECOND\"]", env: map[string]string{"JOB_A1": "x", "JOB_B": "kept", "SECOND": "x", "SECONDS_": "kept"}}
	out := d.output(t, j)
	for _, name := range []string{"AGENT_TOKEN", "JOB_A1", "SECOND"} {
		if strings.Contains("\n"+out, "\n"+name+"=") {
			t.Errorf("%s reached the task", name)
		}
	}
	for _, line := range []string{"JOB_B=kept\n", "SECONDS_=kept\n", "NOMAD_ALLOC_ID="} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in %s", line, out)
		}
	}
}

func TestTcpPorts(t *testing.T) {
	d := start(t)
	if abi, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); abi < 4 {
		for _, option := range []string{"bind_tcp", "connect_tcp"} {
			d.alloc(t).refused(shell("exit 0", option+" = [80]"), option+": [80]", "ABI 4", "can't restrict")
		}
		return
	}
	d.alloc(t).refused(shell("exit 0", "bind_tcp = [80, 65536]"), "bind_tcp", "65536 is no TCP port")
	d.alloc(t).refused(shell("exit 0", "connect_tcp = [-1]"), "connect_tcp", "-1 is no TCP port")
	d.alloc(t).start(shell("exit 7", "bind_tcp = [8080]", "connect_tcp = []")).ends(7)
}
