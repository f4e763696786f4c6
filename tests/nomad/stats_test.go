package nomad

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers"
)

// asleep is a job of one process beside init.
func asleep() job { return job{config: "command = \"sleep\"\nargs = [\"600\"]"} }

// busy takes a core for itself.
func busy() job { return shell(`while :; do :; done`) }

func (d *driver) stats(t *testing.T, id string, interval time.Duration) <-chan *drivers.TaskResourceUsage {
	t.Helper()
	stream, err := d.TaskStats(t.Context(), id, interval)
	if err != nil {
		t.Fatalf("TaskStats: %v", err)
	}
	return stream
}

// sample takes the next one from a stream.
func sample(t *testing.T, stream <-chan *drivers.TaskResourceUsage) *drivers.TaskResourceUsage {
	t.Helper()
	select {
	case s, open := <-stream:
		if !open {
			t.Fatal("the stats stream was closed")
		}
		return s
	case <-time.After(*patience):
		t.Fatalf("no figures in %v", *patience)
	}
	return nil
}

func TestStatsComeAtOnce(t *testing.T) {
	k := start(t).alloc(t).start(asleep())
	stream := k.driver.stats(t, k.id, time.Hour)
	s := sample(t, stream)
	cpu, memory := s.ResourceUsage.CpuStats, s.ResourceUsage.MemoryStats
	if age := time.Since(time.Unix(0, s.Timestamp)); age < 0 || age > time.Hour {
		t.Errorf("of %v ago", age)
	}
	if cpu.Percent != 0 || cpu.TotalTicks != 0 {
		t.Errorf("the first figures have nothing to be compared with: %+v", *cpu)
	}
	want := []string{"System Mode", "User Mode", "Percent"}
	if host.hasLimits {
		want = append(want, "Throttled Periods", "Throttled Time")
		for _, name := range []string{"RSS", "Cache", "Usage", "Max Usage", "Kernel Usage"} {
			if !slices.Contains(memory.Measured, name) {
				t.Errorf("%s is not measured: %v", name, memory.Measured)
			}
		}
	} else if len(memory.Measured) != 0 || memory.RSS != 0 || memory.Usage != 0 {
		t.Errorf("without a memory controller: %+v", *memory)
	}
	if !slices.Equal(cpu.Measured, want) {
		t.Errorf("measured of the CPU: %v, want %v", cpu.Measured, want)
	}
	staysOpen(t, stream)
}

func TestStatsKeepTheirInterval(t *testing.T) {
	slow(t)
	k := start(t).alloc(t).start(asleep())
	for asked, want := range map[time.Duration]time.Duration{
		300 * time.Millisecond: 300 * time.Millisecond,
		0:                      time.Second,
		time.Microsecond:       100 * time.Millisecond, // the least there is
	} {
		stream := k.driver.stats(t, k.id, asked)
		first := sample(t, stream)
		const n = 4
		last, least := first, time.Hour
		for range n {
			s := sample(t, stream)
			least = min(least, time.Duration(s.Timestamp-last.Timestamp))
			last = s
		}
		// On a busy machine some come late, and none too soon.
		if mean := time.Duration(last.Timestamp-first.Timestamp) / n; mean < want*9/10 || least > want*3 {
			t.Errorf("asked for one each %v, they come each %v and at least %v, want %v", asked, mean, least, want)
		}
	}
}

// add takes the first figures of a stream and some more, and compares what these add up to with the kernel's own counter, which said
// `before` when there were none. One alone may be of more than a core: a running process is counted by ticks, and they may come late.
func (a *alloc) add(name string, stream <-chan *drivers.TaskResourceUsage, before time.Duration) {
	a.t.Helper()
	last := sample(a.t, stream)
	if percent := last.ResourceUsage.CpuStats.Percent; percent != 0 || len(last.Pids) < 2 {
		a.t.Errorf("%s: the first figures are %v %% of %v", name, percent, last.Pids)
	}
	from, to := a.usage(), time.Duration(0)
	all, processes := 0.0, 0.0
	for range 8 {
		to = a.usage()
		s := sample(a.t, stream)
		cpu := s.ResourceUsage.CpuStats
		if ticks := cpu.Percent * 10; cpu.TotalTicks < ticks*0.999 || cpu.TotalTicks > ticks*1.001 {
			a.t.Errorf("%s: %v %% of a core of 1000 MHz are %v ticks", name, cpu.Percent, cpu.TotalTicks)
		}
		if parts := cpu.UserMode + cpu.SystemMode; parts < cpu.Percent*0.9 || parts > cpu.Percent*1.1 {
			a.t.Errorf("%s: user %v and system %v are not %v", name, cpu.UserMode, cpu.SystemMode, cpu.Percent)
		}
		wall := float64(s.Timestamp - last.Timestamp)
		all += cpu.Percent / 100 * wall
		for _, p := range s.Pids {
			processes += p.CpuStats.Percent / 100 * wall
		}
		last = s
	}
	least, most := to-from, a.usage()-before
	for what, sum := range map[string]time.Duration{"all": time.Duration(all), "each process": time.Duration(processes)} {
		if sum < least/2 || sum > most*13/10 {
			a.t.Errorf("%s, of %s: the figures add up to %v of CPU, the kernel has counted %v to %v", name, what, sum, least, most)
		}
	}
	a.t.Logf("%s: %v of CPU by the figures, %v to %v by the kernel", name, time.Duration(all), least, most)
}

func TestStatsOfABusyTask(t *testing.T) {
	k := start(t).alloc(t).start(busy())
	before := k.usage()
	k.add("busy", k.driver.stats(t, k.id, 500*time.Millisecond), before)
}

// usage is what the kernel has counted for the task's cgroup.
func (a *alloc) usage() time.Duration {
	a.t.Helper()
	for line := range strings.Lines(a.knob("cpu.stat")) {
		if text, ok := strings.CutPrefix(line, "usage_usec "); ok {
			us, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				a.t.Fatal(err)
			}
			return time.Duration(us) * time.Microsecond
		}
	}
	a.t.Fatal("cpu.stat tells no usage")
	return 0
}

func TestStatsOfAThrottledTask(t *testing.T) {
	needLimits(t)
	j := busy()
	j.cpu = 100 // of a core of 1000
	k := start(t).alloc(t).start(j)
	stream := k.driver.stats(t, k.id, time.Second)
	first := sample(t, stream).ResourceUsage.CpuStats
	second := sample(t, stream).ResourceUsage.CpuStats
	third := sample(t, stream).ResourceUsage.CpuStats
	if mean := (second.Percent + third.Percent) / 2; mean < 1 || mean > 50 {
		t.Errorf("it takes %v %% of a core, and may take 10", mean)
	}
	if second.ThrottledPeriods <= first.ThrottledPeriods || third.ThrottledPeriods <= second.ThrottledPeriods {
		t.Errorf("throttled periods: %d, %d, %d", first.ThrottledPeriods, second.ThrottledPeriods, third.ThrottledPeriods)
	}
	// Nanoseconds: nine tenths of a second would be usual.
	if ns := time.Duration(third.ThrottledTime - second.ThrottledTime); ns < 10*time.Millisecond || ns > *patience {
		t.Errorf("throttled for %v in a second", ns)
	}
}

func TestStatsOfMemory(t *testing.T) {
	needLimits(t)
	const held = 20 << 20
	j := shell(`x=01234567890123456789; i=0; while [ $i -lt 20 ]; do x="$x$x"; i=$((i+1)); done; echo ready; while :; do sleep 1; done`)
	j.memory = 256
	k := start(t).alloc(t).start(j)
	k.prints("ready")
	s := sample(t, k.driver.stats(t, k.id, time.Second))
	m := s.ResourceUsage.MemoryStats
	t.Logf("%+v", *m)
	if m.RSS < held || m.RSS > 256<<20 {
		t.Errorf("RSS is %d of a task that holds %d", m.RSS, held)
	}
	if m.Usage < m.RSS || m.MaxUsage < m.Usage || m.MaxUsage > 257<<20 {
		t.Errorf("usage %d, at most %d, with RSS %d", m.Usage, m.MaxUsage, m.RSS)
	}
	if m.KernelUsage == 0 || m.KernelUsage > m.Usage {
		t.Errorf("kernel memory %d of %d", m.KernelUsage, m.Usage)
	}
	most := uint64(0)
	for _, p := range s.Pids {
		most = max(most, p.MemoryStats.RSS)
	}
	if most < held-1<<20 {
		t.Errorf("the biggest process has %d", most)
	}
}

func TestStatsByProcess(t *testing.T) {
	k := start(t).alloc(t).start(asleep())
	status, err := k.driver.InspectTask(k.id)
	if err != nil {
		t.Fatal(err)
	}
	s := sample(t, k.driver.stats(t, k.id, time.Second))
	if s.Pids[status.DriverAttributes["pid"]] == nil {
		t.Errorf("init, %s, is not among %v", status.DriverAttributes["pid"], s.Pids)
	}
	pids := members(k.cgroup)
	if len(pids) != 2 || len(s.Pids) != 2 {
		t.Errorf("processes %v, figures of %v", pids, s.Pids)
	}
	for _, pid := range pids {
		p := s.Pids[strconv.Itoa(pid)]
		if p == nil {
			t.Errorf("no figures of process %d", pid)
			continue
		}
		// Small ones may seem to have no memory at all: the kernel's counters per processor lag by some dozen pages.
		if p.CpuStats == nil || p.MemoryStats == nil || !slices.Contains(p.MemoryStats.Measured, "RSS") || !slices.Contains(p.CpuStats.Measured, "Percent") {
			t.Errorf("process %d: %+v, %+v", pid, p.CpuStats, p.MemoryStats)
		}
	}
}

// TestStatsOfAnEndedTask wants an open, silent stream, while the next task runs in the same cgroup. The client would reopen a closed one.
func TestStatsOfAnEndedTask(t *testing.T) {
	a := start(t).alloc(t)
	k := a.start(shell(trapping))
	k.prints("ready")
	stream := k.driver.stats(t, k.id, 100*time.Millisecond)
	sample(t, stream)
	k.stop(killTimeout, "SIGTERM")
	k.ends(55)
	late := k.driver.stats(t, k.id, 100*time.Millisecond)
	for len(stream) > 0 {
		<-stream
	}
	next := a.start(asleep())
	for _, s := range []<-chan *drivers.TaskResourceUsage{stream, late} {
		select { // the last that was on its way
		case <-s:
		case <-time.After(300 * time.Millisecond):
		}
		staysOpen(t, s)
	}
	k.destroy1()
	staysOpen(t, stream)
	sample(t, next.driver.stats(t, next.id, time.Second))
}

// destroy1 forgets a task that has ended, while another runs in its cgroup.
func (k *task) destroy1() {
	k.t.Helper()
	var err error
	bounded(k.t, "DestroyTask", func() { err = k.driver.DestroyTask(k.id, true) })
	if err != nil {
		k.t.Fatalf("DestroyTask: %v", err)
	}
}

func TestStatsOfAnUnknownTask(t *testing.T) {
	d := start(t)
	staysOpen(t, d.stats(t, unknownID, 100*time.Millisecond))
	d.answers(t)
}

// TestStatsStreamsCostNothingWhenGone opens many at once: no thread, no descriptor each, and nothing to do when they are cancelled.
func TestStatsStreamsCostNothingWhenGone(t *testing.T) {
	slow(t)
	k := start(t).alloc(t).start(asleep())
	sample(t, k.driver.stats(t, k.id, time.Hour))
	descriptors, threads := k.driver.count(t, "fd"), k.driver.count(t, "task")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var streams []<-chan *drivers.TaskResourceUsage
	for range 50 {
		stream, err := k.driver.TaskStats(ctx, k.id, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	for _, s := range streams {
		sample(t, s)
		sample(t, s)
	}
	if n := k.driver.count(t, "task"); n > threads {
		t.Errorf("%d threads, %d before", n, threads)
	}
	window := func() time.Duration {
		before := k.driver.cpuTime(t)
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			for _, s := range streams {
				select {
				case <-s:
				default:
				}
			}
		}
		return k.driver.cpuTime(t) - before
	}
	at := window()
	cancel()
	for _, s := range streams { // Nomad's client closes its end
		for range s {
		}
	}
	eventually(t, "the plugin has nothing to do", func() bool { return window() <= 20*time.Millisecond })
	t.Logf("50 streams at 100 ms: %v of CPU a second", at)
	eventually(t, "the descriptors are as before", func() bool { return k.driver.count(t, "fd") <= descriptors })
}

// cpuTime is what the plugin has used of processors.
func (d *driver) cpuTime(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid()))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')'):])
	user, _ := strconv.Atoi(fields[12])
	system, _ := strconv.Atoi(fields[13])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestStatsAfterRecovery kills the plugin. The client may ask for figures before it has the task recovered.
func TestStatsAfterRecovery(t *testing.T) {
	a := start(t).alloc(t)
	k := a.start(busy())
	stream := k.driver.stats(t, k.id, 100*time.Millisecond)
	sample(t, stream)
	k.driver.crash(t)
	k.driver = k.driver.successor(t)
	early := k.driver.stats(t, k.id, 100*time.Millisecond)
	staysOpen(t, early)
	before := k.usage()
	k.recovered(k.driver)
	k.add("early", early, before)
	before = k.usage()
	k.add("late", k.driver.stats(t, k.id, 100*time.Millisecond), before)
	k.stop(0, "SIGKILL")
	k.ends(137)
}
