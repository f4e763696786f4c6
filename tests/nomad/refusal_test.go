package nomad

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/plugins/drivers"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
)

func TestUnknownUser(t *testing.T) {
	j := shell("exit 7")
	j.change = func(c *drivers.TaskConfig) { c.User = "no-such-user" }
	start(t).alloc(t).refused(j, "no-such-user")
}

// TestForgottenUser has no user in the request, or a new one, as of an agent that was started again: the first one is remembered.
func TestForgottenUser(t *testing.T) {
	j := shell(`echo "$(id -u) $USER $LOGNAME $HOME"; echo > "$NOMAD_TASK_DIR/mine"`)
	d := start(t)
	a := d.alloc(t)
	a.start(j).ends(0)
	d.crash(t)
	a.driver = d.successor(t)
	for _, user := range []string{"", "nomad-79999"} {
		j.change = func(c *drivers.TaskConfig) { c.User = user }
		a.start(j).ends(0)
	}
	want := fmt.Sprintf("%s %s %s /nonexistent\n", strings.TrimPrefix(a.user, "nomad-"), a.user, a.user)
	if out := a.drained(); out != strings.Repeat(want, 3) {
		t.Errorf("runs as %q, want each time %q", out, want)
	}
	j.change = func(c *drivers.TaskConfig) { c.User = "" }
	a.driver.alloc(t).refused(j, "user must be set")
}

// TestGivenAwayDirectory has a task that gives its own directory to another user, for its next start to run as that one.
func TestGivenAwayDirectory(t *testing.T) {
	j := shell(`id -u; chmod 711 "$NOMAD_TASK_DIR/.." && chown 999:999 "$NOMAD_TASK_DIR/.." && stat -c %u:%g "$NOMAD_TASK_DIR/.."`, `cap_add = ["chown"]`)
	a := start(t).alloc(t)
	for _, user := range []string{a.user, "", "nomad-999", "nomad-79999"} {
		j.change = func(c *drivers.TaskConfig) { c.User = user }
		k, err := a.try(j)
		if err != nil {
			t.Fatal(err)
		}
		k.wait()
		k.destroy()
	}
	// From the second time on it is no more its to change the mode of.
	uid := strings.TrimPrefix(a.user, "nomad-") + "\n"
	if out, want := a.drained(), uid+"999:999\n"+strings.Repeat(uid, 3); out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
}

// TestMalformedRequests sends what Nomad's client never would.
func TestMalformedRequests(t *testing.T) {
	d := start(t)
	a := d.alloc(t)
	if err := os.Mkdir(a.cgroup, 0o755); err != nil {
		t.Fatal(err)
	}
	model := a.taskConfig(shell("exit 7"))
	good := func() *proto.StartTaskRequest {
		return &proto.StartTaskRequest{Task: &proto.TaskConfig{
			Id: model.ID, Name: model.Name, AllocId: a.id, User: a.user, AllocDir: model.AllocDir, Env: model.Env,
			StdoutPath: os.DevNull, StderrPath: os.DevNull, MsgpackDriverConfig: []byte("\x81\xa7command\xa9/bin/true"),
			Resources: &proto.Resources{LinuxResources: &proto.LinuxResources{CpusetCgroup: a.cgroup}},
		}}
	}
	configured := func(block string) func(*proto.StartTaskRequest) {
		return func(r *proto.StartTaskRequest) { r.Task.MsgpackDriverConfig = []byte(block) }
	}
	for name, c := range map[string]struct {
		change func(*proto.StartTaskRequest)
		words  string
	}{
		"no task":             {func(r *proto.StartTaskRequest) { r.Task = nil }, "the request has no task"},
		"no resources":        {func(r *proto.StartTaskRequest) { r.Task.Resources = nil }, `cgroup: ""`},
		"no id":               {func(r *proto.StartTaskRequest) { r.Task.Id = "" }, "the task has no id"},
		"no driver config":    {configured(""), "command: it is missing"},
		"no msgpack":          {configured("\xc1\xc1"), "malformed msgpack"},
		"msgpack cut short":   {configured("\x82\xa7command\xa9/bin"), "malformed msgpack"},
		"msgpack of a number": {configured("\x07"), "no block of options: 7"},
		"a number as command": {configured("\x81\xa7command\x07"), "command: 7 is not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			request := good()
			c.change(request)
			var err error
			bounded(t, "StartTask", func() { _, err = d.wire.StartTask(t.Context(), request) })
			wantWords(t, err, c.words)
			wantUnknown(t, err)
			d.answers(t)
		})
	}
	t.Run("and one that is well", func(t *testing.T) {
		var err error
		bounded(t, "StartTask", func() { _, err = d.wire.StartTask(t.Context(), good()) })
		if err != nil {
			t.Fatal(err)
		}
		k := &task{alloc: a.in(t), id: model.ID}
		k.ends(0)
		k.destroy()
	})
	t.Run("StopTask without a timeout", func(t *testing.T) {
		k := d.alloc(t).start(shell(trapping))
		k.prints("ready")
		var err error
		bounded(t, "StopTask", func() { _, err = d.wire.StopTask(t.Context(), &proto.StopTaskRequest{TaskId: k.id}) })
		if err != nil {
			t.Error(err)
		}
		k.ends(137)
	})
}

// TestLargeEnvironment is over gRPC's default limit of 4 MiB a message, and over what the kernel lets a command have.
func TestLargeEnvironment(t *testing.T) {
	d := start(t)
	j := shell("exit 7")
	j.env = map[string]string{"LARGE": strings.Repeat("x", 6<<20)}
	_, err := d.alloc(t).try(j)
	wantWords(t, err, "E2BIG") // the kernel's word, and none of the transport's
	if len(err.Error()) > 4096 {
		t.Errorf("the error has %d bytes: %.300s", len(err.Error()), err)
	}
	j.env = map[string]string{"LARGE": strings.Repeat("x", 100<<10)}
	d.alloc(t).start(j).ends(7)
}
