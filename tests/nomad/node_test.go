// Package nomad drives the driver's binary through Nomad's own client code: its plugin client, its allocation
// directories, its log collector, its cgroups. What a test finds here is what an agent would see.
package nomad

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/client/lib/cgroupslib"
	"github.com/hashicorp/nomad/client/lib/idset"
	"github.com/hashicorp/nomad/client/lib/numalib"
	"github.com/hashicorp/nomad/client/lib/numalib/hw"
	"github.com/hashicorp/nomad/helper/users/dynamic"
)

var (
	pluginPath = flag.String("plugin", os.Getenv("EXEC2_PLUGIN"), "the driver's binary (or EXEC2_PLUGIN)")
	baseDir    = flag.String("dir", "/var/lib", "where this node's directories are made and removed")
	restarts   = flag.Int("restarts", 100, "how often the restart test restarts its task")
	many       = flag.Int("many", 200, "how many tasks outlive the plugin in the recovery test")
	patience   = flag.Duration("patience", 30*time.Second, "how long any single call or expected event may take")
)

// host is the node that all tests share.
var host *node

// node is what a Nomad agent prepares before its first task.
type node struct {
	dir       string // parent of data_dir
	allocs    string // client.alloc_dir
	mounts    string // client.alloc_mounts_dir
	slice     string // cgroup of the tasks that share the cores
	hasLimits bool   // cgroup v2 has its controllers
	topology  *numalib.Topology
	users     dynamic.Pool
	states    int // state directories handed out
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot test:", err)
		return 2
	}
	defer host.remove()
	return m.Run()
}

func prepare() (err error) {
	if *pluginPath == "" {
		return errors.New("no plugin given: -plugin PATH or EXEC2_PLUGIN=PATH")
	}
	if *pluginPath, err = filepath.Abs(*pluginPath); err != nil {
		return err
	}
	if _, err = os.Stat(*pluginPath); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("a Nomad client, and so this suite, needs root")
	}
	if _, _, _, err = dynamic.LookupUser("nobody"); err != nil {
		return fmt.Errorf("Nomad gives the shared directories to nobody, who must be in /etc/passwd and /etc/group: %w", err)
	}
	if os.Getenv("PATH") == "" {
		os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	host, err = newNode()
	return err
}

func newNode() (*node, error) {
	if err := os.MkdirAll(*baseDir, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(*baseDir, "nomad-suite-")
	if err != nil {
		return nil, err
	}
	n := &node{
		dir:    dir,
		allocs: filepath.Join(dir, "data", "alloc"),
		mounts: filepath.Join(dir, "alloc_mounts"),
		users:  dynamic.New(&dynamic.PoolConfig{MinUGID: 80000, MaxUGID: 89999}),
		// Four cores of 1000 MHz, whatever this machine has: cpu.max is then plain to foretell.
		topology: &numalib.Topology{Distances: numalib.SLIT{{10}}},
	}
	n.topology.SetNodes(idset.From[hw.NodeID]([]hw.NodeID{0}))
	for i := range 4 {
		n.topology.Cores = append(n.topology.Cores, numalib.Core{ID: hw.CoreID(i), BaseSpeed: 1000, MaxSpeed: 1000})
	}
	for _, d := range []string{dir, filepath.Join(dir, "data"), n.allocs, n.mounts} {
		if err := errors.Join(os.MkdirAll(d, 0o711), os.Chmod(d, 0o711)); err != nil {
			return nil, err
		}
	}
	return n, n.initCgroups()
}

// initCgroups does as the agent does where cgroup v2 is in charge. On a hybrid host, where Nomad would use v1, it
// only makes a place in the v2 hierarchy for the tasks.
func (n *node) initCgroups() error {
	if cgroupslib.GetMode() == cgroupslib.CG2 {
		n.hasLimits = true
		n.slice = filepath.Dir(cgroupslib.LinuxResourcesPath("alloc", "task", false))
		cores, err := os.ReadFile(filepath.Join(cgroupslib.GetDefaultRoot(), "cpuset.cpus.effective"))
		if err != nil {
			return err
		}
		return cgroupslib.Init(hclog.NewNullLogger(), strings.TrimSpace(string(cores)))
	}
	root, err := cgroup2Mount()
	if err != nil {
		return err
	}
	n.slice = filepath.Join(root, fmt.Sprintf("nomad-suite-%d.slice", os.Getpid()), "share.slice")
	return os.MkdirAll(n.slice, 0o755)
}

func (n *node) remove() {
	for _, m := range mountsBelow(n.dir) {
		fmt.Fprintln(os.Stderr, "left mounted, unmounting:", m)
		syscall.Unmount(m, syscall.MNT_DETACH)
	}
	if err := os.RemoveAll(n.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if !n.hasLimits {
		if err := errors.Join(os.Remove(n.slice), os.Remove(filepath.Dir(n.slice))); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// needLimits skips a test of resource limits where the kernel could not enforce them.
func needLimits(t *testing.T) {
	t.Helper()
	if !host.hasLimits {
		t.Skip("cgroup v2 has no controllers on this host (they are on v1), and the driver refuses limits that it cannot enforce; the virtual machines run this test")
	}
}

// For a test of what no kernel decides and an emulated one takes long for: natively it runs always.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-test.short: no kernel decides it; natively it runs, and in the machines with --kernels")
	}
}

func cgroup2Mount() (string, error) {
	for _, f := range mountTable() {
		if len(f) > 2 && f[len(f)-3] == "cgroup2" {
			return f[4], nil
		}
	}
	return "", errors.New("no cgroup v2 hierarchy is mounted")
}

// mountsBelow lists mount points in dir, innermost first.
func mountsBelow(dir string) []string {
	var found []string
	for _, f := range mountTable() {
		if strings.HasPrefix(f[4], dir+"/") {
			found = append(found, f[4])
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(found)))
	return found
}

// mountTable is /proc/self/mountinfo: the mount point is field 4, the type third from the end.
func mountTable() [][]string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var table [][]string
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 9 {
			table = append(table, fields)
		}
	}
	return table
}

// eventually waits until ok holds, and fails the test if it does not in time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(*patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", *patience, what)
		}
	}
}

// bounded fails the test when f hangs; Nomad's client itself sets no deadlines.
func bounded(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(*patience):
		t.Fatalf("%s hangs: no answer in %v", what, *patience)
	}
}
