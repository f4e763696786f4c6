package nomad

import (
	"os"
	"testing"

	"github.com/hashicorp/nomad/plugins/drivers"
)

// The client takes an allocation's directories down, with its own code, while tasks of others run that were started before and after.
func TestAllocationGoesWhileOthersRun(t *testing.T) {
	d := start(t)
	before := d.alloc(t).start(shell(trapping))
	before.prints("ready")
	var gone *alloc
	var after *task
	t.Run("gone", func(t *testing.T) {
		// Its clean-up reports what could not be unmounted or removed.
		gone = d.alloc(t)
		ended := gone.start(shell("exit 7"))
		ended.ends(7)
		after = d.alloc(before.t).start(shell(trapping))
		after.prints("ready")
		ended.destroy()
	})
	for _, dir := range []string{gone.task.AllocDir, gone.task.MountsTaskDir} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
	for _, k := range []*task{before, after} {
		if s, err := d.InspectTask(k.id); err != nil || s.State != drivers.TaskStateRunning {
			t.Errorf("InspectTask: %+v, %v", s, err)
		}
		k.stop(killTimeout, "SIGTERM")
		k.ends(55)
		k.destroy()
	}
}
