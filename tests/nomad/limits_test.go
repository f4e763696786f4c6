package nomad

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/client/lib/cgroupslib"
)

// knob reads one file of the task's cgroup.
func (a *alloc) knob(file string) string {
	a.t.Helper()
	value, err := cgroupslib.OpenPath(a.cgroup).Read(file)
	if err != nil {
		a.t.Fatal(err)
	}
	return value
}

func (a *alloc) knobs(want map[string]string) {
	a.t.Helper()
	for file, value := range want {
		if got := a.knob(file); got != value {
			a.t.Errorf("%s is %q, want %q", file, got, value)
		}
	}
}

// limited is a job that waits, with resources.
func limited(cpu, memory, memoryMax int64) job {
	j := shell(trapping)
	j.cpu, j.memory, j.memoryMax = cpu, memory, memoryMax
	return j
}

func TestLimits(t *testing.T) {
	needLimits(t)
	d := start(t)
	for name, c := range map[string]struct {
		job  job
		want map[string]string
	}{
		"memory":              {limited(500, 64, 0), map[string]string{"memory.max": "67108864", "memory.low": "0", "cpu.max": "50000 100000"}},
		"memory and more":     {limited(1500, 64, 128), map[string]string{"memory.max": "134217728", "memory.low": "67108864", "cpu.max": "150000 100000"}},
		"memory without end":  {limited(4000, 64, -1), map[string]string{"memory.max": "max", "memory.low": "67108864", "cpu.max": "400000 100000"}},
		"the least processor": {limited(1, 64, 0), map[string]string{"cpu.max": "1000 100000"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.alloc(t)
			a.start(c.job)
			a.knobs(c.want)
		})
	}
}

// TestWeight has 1024 shares stand for the kernel's default weight of 100, as in Nomad 2.
func TestWeight(t *testing.T) {
	needLimits(t)
	d := start(t)
	for shares, weight := range map[int64]string{1: "1", 500: "58", 1024: "100"} {
		a := d.alloc(t)
		a.start(limited(shares, 64, 0))
		a.knobs(map[string]string{"cpu.weight": weight})
	}
}

// TestKilledUnderACeiling has a task that is killed die without its ceiling, and one that ends by the signal with it. (The next start
// writes it anew: TestStaleLimits.)
func TestKilledUnderACeiling(t *testing.T) {
	needLimits(t)
	d := start(t)
	ends := shell("echo ready; exec sleep 3600")
	stays := shell("trap '' TERM; echo ready; while :; do :; done")
	for _, c := range []struct {
		job     job
		timeout time.Duration
		after   string
	}{{ends, *patience, "20000 100000"}, {stays, 0, "max 100000"}, {stays, 100 * time.Millisecond, "max 100000"}} {
		c.job.cpu = 200
		a := d.alloc(t)
		k := a.start(c.job)
		k.prints("ready")
		if is := a.knob("cpu.max"); is != "20000 100000" {
			t.Errorf("while it runs cpu.max is %q", is)
		}
		k.stop(c.timeout, "SIGTERM")
		if is := a.knob("cpu.max"); is != c.after {
			t.Errorf("stopped after %v: cpu.max is %q, not %q", c.timeout, is, c.after)
		}
		k.destroy()
	}
}

// TestStaleLimits restarts a task in a cgroup that still holds another job's values: Nomad never resets them.
func TestStaleLimits(t *testing.T) {
	needLimits(t)
	a := start(t).alloc(t)
	k := a.start(limited(2000, 64, 128))
	k.destroy()
	for file, value := range map[string]string{"memory.low": "33554432", "memory.max": "50331648", "cpu.max": "20000 100000", "cpu.weight": "7777", "memory.oom.group": "1"} {
		if err := os.WriteFile(filepath.Join(a.cgroup, file), []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	a.start(limited(500, 96, 0))
	a.knobs(map[string]string{"memory.low": "0", "memory.max": "100663296", "cpu.max": "50000 100000", "memory.oom.group": "0", "cpu.weight": "58"})
}

func TestMemoryIsEnforced(t *testing.T) {
	needLimits(t)
	d := start(t)
	grow := func(doublings int) job {
		j := shell(fmt.Sprintf(`x=0123456789abcdef; i=0; while [ $i -lt %d ]; do x="$x$x"; i=$((i+1)); done; exit 7`, doublings))
		j.memory = 48
		return j
	}
	d.alloc(t).start(grow(16)).ends(7) // 1 MiB
	k := d.alloc(t).start(grow(26))    // 1 GiB
	if r := k.wait(); !r.OOMKilled || r.ExitCode != 137 || r.Signal != 9 {
		t.Errorf("of a task over its memory: %+v, want OOMKilled, 137, 9", *r)
	}
}

// TestLimitsThatCannotBe wants a refusal, and not a task without its limits, where the kernel has no controllers.
func TestLimitsThatCannotBe(t *testing.T) {
	if host.hasLimits {
		t.Skip("this host can enforce limits; a host with hybrid cgroups runs this test")
	}
	d := start(t)
	for option, file := range map[string]string{
		"pids_limit = 9": "pids.max", `memory_swap = "8MiB"`: "memory.swap.max", `memory_swap = "unlimited"`: "memory.swap.max",
		"oom_group = true": "memory.oom.group",
	} {
		name, _, _ := strings.Cut(option, " ")
		d.alloc(t).refused(shell("exit 0", option), name+": "+file, "controller")
	}
	start(t, "max_pids = 9").alloc(t).refused(shell("exit 0"), "max_pids: pids.max", "controller")
	d.alloc(t).refused(limited(0, 64, 0), "resources.memory: memory.max", "controller")
	d.alloc(t).refused(limited(0, 32, 64), "resources.memory", "controller")
	d.alloc(t).refused(limited(500, 0, 0), "resources.cpu: cpu.weight", "controller")
	d.alloc(t).start(shell("exit 7")).ends(7)
}

func TestPidsLimit(t *testing.T) {
	d := start(t)
	for value, words := range map[string]string{"1": "too few", "0": "too few", "-1": "too few", "4194305": "more than"} {
		d.alloc(t).refused(shell("exit 0", "pids_limit = "+value), "pids_limit: "+value, words)
		if value != "0" {
			wantWords(t, launch(t).setConfig(t, agentConfig(), "max_pids = "+value), "max_pids: "+value, words)
		}
	}
	start(t, "max_pids = 50").alloc(t).refused(shell("exit 0", "pids_limit = 51"), "pids_limit: 51", "max_pids = 50")
	needLimits(t)
	for name, c := range map[string]struct {
		d      *driver
		option string
		want   string
	}{
		"none":             {d, "", "max"},
		"the job's":        {d, "pids_limit = 30", "30"},
		"the operator's":   {start(t, "max_pids = 50"), "", "50"},
		"within the other": {start(t, "max_pids = 50"), "pids_limit = 50", "50"},
		"the kernel's":     {d, "pids_limit = 4194304", "4194304"},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.d.alloc(t)
			a.start(steady(c.option))
			a.knobs(map[string]string{"pids.max": c.want})
		})
	}
	// A shell that can't fork says so and ends.
	fork := "i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done; exit 7"
	d.alloc(t).start(shell(fork)).ends(7)
	if r := d.alloc(t).start(shell(fork, "pids_limit = 30")).wait(); r.ExitCode == 7 {
		t.Error("a task with pids_limit = 30 started 40 processes")
	}
}

// TestLimitsOfTheConfigBlock has each option's file of the cgroup.
func TestLimitsOfTheConfigBlock(t *testing.T) {
	d := start(t)
	d.alloc(t).refused(shell("exit 0", `memory_swap = "lots"`), "memory_swap", `"lots"`)
	needLimits(t)
	for option, want := range map[string]map[string]string{
		"":                          {"cpu.max": "50000 100000", "memory.oom.group": "0"},
		"cpu_hard_limit = false":    {"cpu.max": "max 100000", "cpu.weight": "58"},
		"oom_group = true":          {"memory.oom.group": "1"},
		`memory_swap = "8MiB"`:      {"memory.swap.max": "8388608"},
		`memory_swap = "unlimited"`: {"memory.swap.max": "max"},
		`memory_swap = "0"`:         {"memory.swap.max": "0"},
	} {
		a := d.alloc(t)
		j := steady(option)
		j.cpu, j.memory = 500, 64
		a.start(j)
		a.knobs(want)
	}
}

func TestOomGroup(t *testing.T) {
	needLimits(t)
	d := start(t)
	grow := `(x=0123456789abcdef; i=0; while [ $i -lt 26 ]; do x="$x$x"; i=$((i+1)); done); exit 7`
	one, all := shell(grow), shell(grow, "oom_group = true")
	one.memory, all.memory = 48, 48
	if r := d.alloc(t).start(one).wait(); r.ExitCode != 7 || !r.OOMKilled {
		t.Errorf("of a task that lost one process: %+v", *r)
	}
	if r := d.alloc(t).start(all).wait(); r.ExitCode != 137 || r.Signal != 9 || !r.OOMKilled {
		t.Errorf("of a task with oom_group: %+v", *r)
	}
}

func TestKillMode(t *testing.T) {
	const script = `sh -c 'trap "echo child; exit" TERM; echo up; while :; do sleep 0.1; done' &
		trap 'sleep 1; exit 42' TERM; while :; do sleep 0.1; done`
	d := start(t)
	for option, want := range map[string]string{"": "up\nchild\n", `kill_mode = "group"`: "up\nchild\n", `kill_mode = "main"`: "up\n"} {
		a := d.alloc(t)
		k := a.start(shell(script, option))
		k.prints("up")
		k.stop(killTimeout, "SIGTERM")
		k.ends(42)
		if out := a.drained(); out != want {
			t.Errorf("%q: the task printed %q, want %q", option, out, want)
		}
	}
	k := d.alloc(t).start(shell(script, `kill_mode = "main"`))
	k.prints("up")
	d.crash(t)
	next := d.successor(t)
	k.recovered(next)
	k.stop(killTimeout, "SIGTERM")
	k.ends(42)
	if out := k.stdout(); out != "up\n" {
		t.Errorf("after a recovery the task printed %q", out)
	}
	next.alloc(t).refused(shell("exit 0", `kill_mode = "all"`), "kill_mode", `"all"`, "group")
}
