package nomad

import (
	"testing"

	"github.com/hashicorp/nomad/plugins/drivers"
)

// TestDevices has a device as a device plugin reserves one, in place of a GPU's /dev/zero, which the default paths grant for reading alone.
func TestDevices(t *testing.T) {
	d := start(t)
	with := func(j job, device drivers.DeviceConfig) job {
		j.change = func(c *drivers.TaskConfig) { c.Devices = []*drivers.DeviceConfig{&device} }
		return j
	}
	write := `echo > /dev/zero || exit 9`
	d.alloc(t).start(shell(write)).ends(9)
	d.alloc(t).start(with(shell(write), drivers.DeviceConfig{TaskPath: "/dev/zero", HostPath: "/dev/zero", Permissions: "r"})).ends(9)
	d.alloc(t).start(with(shell(write), drivers.DeviceConfig{TaskPath: "/dev/zero", HostPath: "/dev/zero", Permissions: "rwm"})).ends(0)
	local := with(shell(`echo > "$NOMAD_TASK_DIR/dev/z" && head -c 1 "$NOMAD_TASK_DIR/dev/z"`), drivers.DeviceConfig{TaskPath: "/local/dev/z", HostPath: "/dev/zero", Permissions: "rw"})
	if out := d.output(t, local); out != "\x00" {
		t.Errorf("the device gives %q", out)
	}
	for word, device := range map[string]drivers.DeviceConfig{
		"not a device":          {TaskPath: "/dev/zero", HostPath: "/etc/hosts", Permissions: "r"},
		"No such file":          {TaskPath: "/dev/x", HostPath: "/dev/no-such-device", Permissions: "r"},
		"not there on the node": {TaskPath: "/dev/no-such-device", HostPath: "/dev/zero", Permissions: "r"},
		"letters of r, w, m":    {TaskPath: "/dev/zero", HostPath: "/dev/zero"},
		"rw alone":              {TaskPath: "/local/zero", HostPath: "/dev/zero", Permissions: "r"},
	} {
		d.alloc(t).refused(with(shell("exit 7"), device), "device", device.TaskPath, word)
	}
}
