package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/client/allocdir"
	"github.com/hashicorp/nomad/client/lib/cgroupslib"
	"github.com/hashicorp/nomad/client/logmon"
	"github.com/hashicorp/nomad/client/taskenv"
	"github.com/hashicorp/nomad/helper/users/dynamic"
	"github.com/hashicorp/nomad/helper/uuid"
	"github.com/hashicorp/nomad/nomad/structs"
	"github.com/hashicorp/nomad/plugins/drivers"
	"github.com/hashicorp/nomad/plugins/drivers/fsisolation"
)

const taskName = "main"

// killTimeout is a job's kill_timeout where the task is expected to heed the signal.
const killTimeout = 10 * time.Second

// job is what a test asks for; the rest is filled in as Nomad does.
type job struct {
	config    string            // lines of the task's config block; ${NOMAD_...} is interpolated
	env       map[string]string // the task's env block
	cpu       int64             // MHz
	memory    int64             // MiB
	memoryMax int64             // MiB, -1 for no limit
	change    func(*drivers.TaskConfig)
}

// shell is a job that runs a script. The extra lines go into its config block.
func shell(script string, extra ...string) job {
	return job{config: strings.Join(append(extra, `command = "/bin/sh"`, fmt.Sprintf(`args = ["-c", %q]`, script)), "\n")}
}

// alloc is an allocation with one task: its directories, user, cgroup and log collector. Restarts share it.
type alloc struct {
	t      *testing.T
	driver *driver
	id     string
	dir    *allocdir.AllocDir
	task   *allocdir.TaskDir
	user   string
	cgroup string
	logmon logmon.LogMon
	logs   *logmon.LogConfig
	ids    []string // of all tasks started
}

func (d *driver) alloc(t *testing.T) *alloc {
	t.Helper()
	a := &alloc{t: t, driver: d, id: uuid.Generate()}
	ugid, err := host.users.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	a.user = dynamic.String(ugid)
	a.cgroup = filepath.Join(host.slice, a.id+"."+taskName+".scope")
	a.dir = allocdir.NewAllocDir(hclog.NewNullLogger(), host.allocs, host.mounts, a.id)
	a.task = a.dir.NewTaskDir(&structs.Task{Name: taskName})
	t.Cleanup(func() { a.remove(); host.users.Release(ugid) })
	if err := errors.Join(a.dir.Build(), a.task.Build(fsisolation.Unveil, nil, a.user)); err != nil {
		t.Fatal(err)
	}
	a.logs = &logmon.LogConfig{
		LogDir:        a.task.LogDir,
		StdoutLogFile: taskName + ".stdout", StdoutFifo: filepath.Join(a.task.LogDir, "."+taskName+".stdout.fifo"),
		StderrLogFile: taskName + ".stderr", StderrFifo: filepath.Join(a.task.LogDir, "."+taskName+".stderr.fifo"),
		MaxFiles: 10, MaxFileSizeMB: 10,
	}
	a.collect()
	return a
}

// in is the allocation as a subtest uses it.
func (a *alloc) in(t *testing.T) *alloc {
	b := *a
	b.t = t
	return &b
}

// collect starts a log collector of its own, as after an agent's upgrade; the task's next start reuses it.
func (a *alloc) collect() {
	a.t.Helper()
	a.logmon = logmon.NewLogMon(hclog.NewNullLogger())
	if err := a.logmon.Start(a.logs); err != nil {
		a.t.Fatal(err)
	}
}

// remove undoes the allocation, and fails the test if something holds on to it.
func (a *alloc) remove() {
	for _, id := range a.ids {
		a.driver.DestroyTask(id, true)
	}
	kill(a.t, a.cgroup)
	for _, fifo := range []string{a.logs.StdoutFifo, a.logs.StderrFifo} {
		// The collector of a task that never started still waits for a writer.
		if fd, err := syscall.Open(fifo, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0); err == nil {
			syscall.Close(fd)
		}
	}
	a.logmon.Stop()
	if err := os.Remove(a.cgroup); err != nil && !os.IsNotExist(err) {
		a.t.Errorf("removing the task's cgroup: %v", err)
	}
	// Nomad's first round meets M/alloc still mounted on T/alloc, their common directory, and says so.
	a.dir.UnmountAll()
	if err := a.dir.Destroy(); err != nil {
		a.t.Errorf("removing the allocation's directories: %v", err)
	}
}

// kill ends what is left in a cgroup; only a test that has failed, or has killed its plugin, leaves anything.
func kill(t *testing.T, cgroup string) {
	t.Helper()
	if len(members(cgroup)) == 0 {
		return
	}
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.kill"), []byte("1"), 0); err != nil {
		t.Error(err)
	}
	eventually(t, "the killed cgroup is empty", func() bool { return len(members(cgroup)) == 0 })
}

// members lists the processes of a cgroup.
func members(cgroup string) []int {
	pids, err := cgroupslib.OpenPath(cgroup).PIDs()
	if err != nil {
		return nil
	}
	return pids.Slice()
}

// taskConfig is what the task runner's buildTaskConfig makes of the job, with an id of its own each time.
func (a *alloc) taskConfig(j job) *drivers.TaskConfig {
	a.t.Helper()
	resources := &structs.AllocatedTaskResources{
		Cpu:    structs.AllocatedCpuResources{CpuShares: j.cpu},
		Memory: structs.AllocatedMemoryResources{MemoryMB: j.memory, MemoryMaxMB: j.memoryMax},
	}
	env := a.environment(j, resources)
	cfg := &drivers.TaskConfig{
		ID: fmt.Sprintf("%s/%s/%s", a.id, taskName, uuid.Short()), Name: taskName, AllocID: a.id,
		JobName: "suite", JobID: "suite", TaskGroupName: "group", Namespace: "default", NodeName: "node", NodeID: "node-id",
		Env: env.Map(), DeviceEnv: env.DeviceEnv(), User: a.user, AllocDir: a.task.AllocDir,
		StdoutPath: a.logs.StdoutFifo, StderrPath: a.logs.StderrFifo,
		Resources: &drivers.Resources{NomadResources: resources, Ports: &structs.AllocatedPorts{}, LinuxResources: &drivers.LinuxResources{
			CPUShares: j.cpu, MemoryLimitBytes: max(j.memory, j.memoryMax) << 20, CpusetCgroupPath: a.cgroup,
			PercentTicks: float64(j.cpu) / float64(host.topology.UsableCompute()),
		}},
	}
	vars, _, err := env.AllValues()
	if err != nil {
		a.t.Fatal(err)
	}
	value, err := parse(a.t, a.driver.schema, j.config, vars)
	if err == nil {
		err = cfg.EncodeDriverConfig(value)
	}
	if err != nil {
		a.t.Fatalf("the agent refuses the task's config block: %v", err)
	}
	if j.change != nil {
		j.change(cfg)
	}
	return cfg
}

// environment is built as by the task runner and its task_dir hook.
func (a *alloc) environment(j job, resources *structs.AllocatedTaskResources) *taskenv.TaskEnv {
	task := &structs.Task{Name: taskName, Driver: "exec2", User: a.user, Env: j.env}
	b := taskenv.NewBuilder(&structs.Node{ID: "node-id", Name: "node", Datacenter: "dc1"}, &structs.Allocation{
		ID: a.id, Name: "suite.group[0]", Namespace: "default", JobID: "suite", TaskGroup: "group",
		Job:                &structs.Job{ID: "suite", Name: "suite", Namespace: "default", TaskGroups: []*structs.TaskGroup{{Name: "group", Tasks: []*structs.Task{task}}}},
		AllocatedResources: &structs.AllocatedResources{Tasks: map[string]*structs.AllocatedTaskResources{taskName: resources}},
	}, task, "global")
	b.SetClientTaskRoot(a.task.Dir)
	b.SetClientSharedAllocDir(a.task.SharedAllocDir)
	b.SetClientTaskLocalDir(a.task.LocalDir)
	b.SetClientTaskSecretsDir(a.task.SecretsDir)
	b.SetAllocDir(a.task.MountsAllocDir)
	b.SetTaskLocalDir(filepath.Join(a.task.MountsTaskDir, "local"))
	b.SetSecretsDir(a.task.MountsSecretsDir)
	b.SetHostEnvvars([]string{"NOMAD_TOKEN"})
	return b.Build()
}

// task is one run of the allocation's task.
type task struct {
	*alloc
	id     string
	config *drivers.TaskConfig
	handle *drivers.TaskHandle
}

// try starts the job: log collector, cgroup, StartTask, in the order of the task runner's hooks.
func (a *alloc) try(j job) (*task, error) {
	a.t.Helper()
	if err := errors.Join(a.logmon.Start(a.logs), os.MkdirAll(a.cgroup, 0o755)); err != nil {
		a.t.Fatal(err)
	}
	k := &task{alloc: a, config: a.taskConfig(j)}
	k.id = k.config.ID
	a.ids = append(a.ids, k.id)
	var err error
	bounded(a.t, "StartTask", func() { k.handle, _, err = a.driver.StartTask(k.config) })
	return k, err
}

func (a *alloc) start(j job) *task {
	a.t.Helper()
	k, err := a.try(j)
	if err != nil {
		a.t.Fatalf("StartTask: %v", err)
	}
	if k.handle == nil || k.handle.Config == nil || k.handle.Version < 1 {
		a.t.Fatalf("StartTask: a handle that Nomad could not store: %+v", k.handle)
	}
	return k
}

// refused starts a job that must not start, and wants every one of these words in the error.
func (a *alloc) refused(j job, words ...string) {
	a.t.Helper()
	_, err := a.try(j)
	if err == nil {
		a.t.Fatal("StartTask: started what it should have refused")
	}
	wantWords(a.t, err, words...)
	if left := members(a.cgroup); len(left) > 0 {
		a.t.Errorf("a refused start left processes: %v", left)
	}
}

// wantWords checks an error's text, in any case of letters.
func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(w)) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
}

// waiting calls WaitTask; the channel gives one result.
func (k *task) waiting() <-chan *drivers.ExitResult {
	k.t.Helper()
	ch, err := k.driver.WaitTask(context.Background(), k.id)
	if err != nil {
		k.t.Fatalf("WaitTask: %v", err)
	}
	return ch
}

func (k *task) received(ch <-chan *drivers.ExitResult) *drivers.ExitResult {
	k.t.Helper()
	select {
	case r := <-ch:
		if r == nil {
			k.t.Fatal("WaitTask: no result")
		}
		return r
	case <-time.After(*patience):
		k.t.Fatalf("WaitTask: the task has not ended in %v", *patience)
	}
	return nil
}

func (k *task) wait() *drivers.ExitResult {
	k.t.Helper()
	return k.received(k.waiting())
}

// ends wants this exit code, and for 128+n the signal n.
func (k *task) ends(code int) {
	k.t.Helper()
	signal := 0
	if code > 128 && code <= 128+64 {
		signal = code - 128
	}
	if r := k.wait(); r.ExitCode != code || r.Signal != signal || r.Err != nil || r.OOMKilled {
		k.t.Errorf("the task ended with %+v, want exit code %d, signal %d; stderr: %s", *r, code, signal, k.stderr())
	}
}

func (k *task) stop(timeout time.Duration, signal string) {
	k.t.Helper()
	var err error
	bounded(k.t, "StopTask", func() { err = k.driver.StopTask(k.id, timeout, signal) })
	if err != nil {
		k.t.Fatalf("StopTask: %v", err)
	}
}

func (k *task) destroy() {
	k.t.Helper()
	var err error
	bounded(k.t, "DestroyTask", func() { err = k.driver.DestroyTask(k.id, true) })
	if err != nil {
		k.t.Fatalf("DestroyTask: %v", err)
	}
	if left := members(k.cgroup); len(left) > 0 {
		k.t.Fatalf("DestroyTask returned with processes in the cgroup: %v", left)
	}
}

// signal sends one through SignalTask.
func (k *task) signal(name string) error {
	k.t.Helper()
	var err error
	bounded(k.t, "SignalTask", func() { err = k.driver.SignalTask(k.id, name) })
	return err
}

func (k *task) running() bool {
	k.t.Helper()
	var status *drivers.TaskStatus
	var err error
	bounded(k.t, "InspectTask", func() { status, err = k.driver.InspectTask(k.id) })
	if err != nil {
		k.t.Fatalf("InspectTask: %v", err)
	}
	return status.State == drivers.TaskStateRunning && len(members(k.cgroup)) > 0
}

func (a *alloc) stdout() string { return a.log(a.logs.StdoutLogFile) }
func (a *alloc) stderr() string { return a.log(a.logs.StderrLogFile) }

// log joins the collector's rotated files of one stream.
func (a *alloc) log(name string) string {
	files, _ := filepath.Glob(filepath.Join(a.task.LogDir, name+".*"))
	sort.Slice(files, func(i, j int) bool {
		return len(files[i]) < len(files[j]) || files[i] < files[j] && len(files[i]) == len(files[j])
	})
	var all strings.Builder
	for _, f := range files {
		if r, err := os.Open(f); err == nil {
			io.Copy(&all, r)
			r.Close()
		}
	}
	return all.String()
}

// prints waits until the collector's stdout file holds text.
func (a *alloc) prints(text string) {
	a.t.Helper()
	defer func() {
		if a.t.Failed() {
			a.t.Logf("stdout: %q, stderr: %q", a.stdout(), a.stderr())
		}
	}()
	eventually(a.t, fmt.Sprintf("%q arrives in the log", text), func() bool { return strings.Contains(a.stdout(), text) })
}

// output runs a job to its end and returns its standard output.
func (d *driver) output(t *testing.T, j job) string {
	t.Helper()
	a := d.alloc(t)
	k := a.start(j)
	k.ends(0)
	k.destroy()
	return a.drained()
}

// drained returns standard output once the collector has seen its end.
func (a *alloc) drained() string {
	a.logmon.Stop()
	return a.stdout()
}
