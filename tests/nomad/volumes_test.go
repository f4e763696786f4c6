package nomad

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/plugins/drivers"
)

// hostVolume is a directory of the host's for anybody, with one file.
func hostVolume(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(host.dir, "volume-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, err := range []error{os.Chmod(dir, 0o777), os.WriteFile(filepath.Join(dir, "file"), []byte("text\n"), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mounted is a job with these volumes.
func mounted(j job, mounts ...*drivers.MountConfig) job {
	j.change = func(c *drivers.TaskConfig) { c.Mounts = mounts }
	return j
}

// TestVolumes has destinations as jobs of the exec driver write them. The end of each test checks that the client can remove the allocation.
func TestVolumes(t *testing.T) {
	d := start(t)
	for _, destination := range []string{"/local/data", "local/data", "/alloc/data/deep/er", "${NOMAD_TASK_DIR}/x", "/secrets/vol", "vol"} {
		t.Run(destination, func(t *testing.T) {
			a := d.alloc(t)
			volume := hostVolume(t)
			destination := os.Expand(destination, func(string) string { return filepath.Join(a.task.MountsTaskDir, "local") })
			at := destination
			if at[0] == '/' && !strings.HasPrefix(at, host.dir) {
				at = at[1:]
			}
			if at[0] != '/' {
				at = filepath.Join(a.task.MountsTaskDir, at)
			}
			mount := drivers.MountConfig{TaskPath: destination, HostPath: volume, PropagationMode: "private"}
			j := mounted(shell(`cd "`+at+`" && cat file && echo > new && printf '#!/bin/sh\nexit 7\n' > run && chmod +x run && ./run`), &mount)
			k := a.start(j)
			k.ends(7)
			k.destroy()
			if _, err := os.Stat(filepath.Join(volume, "new")); err != nil {
				t.Error("the host does not see what the task has written: ", err)
			}
			// A restart finds the mount point there.
			closed := mount
			closed.Readonly = true
			k = a.start(mounted(shell(`cd "`+at+`" && cat file && ! echo > other && ! rm new && exit 7`), &closed))
			k.ends(7)
			k.destroy()
			if _, err := os.Stat(filepath.Join(volume, "other")); err == nil {
				t.Error("a read-only volume was written")
			}
		})
	}
	for name, c := range map[string]struct {
		mount drivers.MountConfig
		words []string
	}{
		"missing destination": {drivers.MountConfig{TaskPath: "/usr/no-such-place", HostPath: hostVolume(t)}, []string{"volume_mount", "/usr/no-such-place", "not there on the node"}},
		"missing source":      {drivers.MountConfig{TaskPath: "/local/x", HostPath: "/no/such/volume"}, []string{"volume_mount", "/no/such/volume"}},
		"bidirectional":       {drivers.MountConfig{TaskPath: "/local/x", HostPath: "/etc", PropagationMode: "bidirectional"}, []string{"bidirectional"}},
		"SELinux label":       {drivers.MountConfig{TaskPath: "/local/x", HostPath: "/etc", SELinuxLabel: "Z"}, []string{"SELinux"}},
		"above":               {drivers.MountConfig{TaskPath: "/local/../../x", HostPath: "/etc"}, []string{".."}},
	} {
		t.Run(name, func(t *testing.T) { d.alloc(t).refused(mounted(shell("exit 7"), &c.mount), c.words...) })
	}
}
