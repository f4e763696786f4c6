package nomad

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/helper/pluginutils/loader"
	"github.com/hashicorp/nomad/nomad/structs/config"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/drivers"
)

const pluginName = "nomad-driver-exec2"

func TestHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		word string
	}{
		"without the cookie is refused":        {nil, "plugin"},
		"with a wrong cookie is refused":       {[]string{base.Handshake.MagicCookieKey + "=wrong"}, "plugin"},
		"with a client certificate is refused": {append(cookie(), "PLUGIN_CLIENT_CERT=certificate"), "PLUGIN_CLIENT_CERT"},
	} {
		t.Run(name, func(t *testing.T) {
			b := launchBare(t, c.env...)
			var stdout, stderr []byte
			bounded(t, "the refusal", func() {
				stderr, _ = io.ReadAll(b.stderr)
				stdout, _ = io.ReadAll(b.stdout)
				<-b.ended
			})
			if code := b.cmd.ProcessState.ExitCode(); code != 1 || len(stdout) > 0 || !strings.Contains(string(stderr), c.word) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want 1, nothing and a reason with %q", code, stdout, stderr, c.word)
			}
		})
	}
	t.Run("with the cookie is one line, and a socket for the owner only", func(t *testing.T) {
		b := launchBare(t, cookie()...)
		fields := strings.Split(b.handshake(t), "|")
		if len(fields) < 5 || !slices.Equal(fields[:3], []string{"1", "2", "unix"}) || fields[4] != "grpc" || strings.Join(fields[5:], "") != "" {
			t.Fatalf("handshake fields: %q", fields)
		}
		socket, err := os.Stat(fields[3])
		if err != nil || !filepath.IsAbs(fields[3]) {
			t.Fatalf("socket %q: %v", fields[3], err)
		}
		if socket.Mode().Type() != os.ModeSocket || socket.Mode().Perm()&0o077 != 0 || socket.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("whoever can connect runs commands as root, and the socket is %v", socket.Mode())
		}
	})
}

func TestPluginInfo(t *testing.T) {
	info, err := launch(t).base.PluginInfo()
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != "exec2" || info.Type != base.PluginTypeDriver || !slices.Contains(info.PluginApiVersions, drivers.ApiVersion010) {
		t.Errorf("PluginInfo: %+v", info)
	}
	if _, err := version.NewVersion(info.PluginVersion); err != nil {
		t.Errorf("the version must parse, or the agent does not start: %v", err)
	}
}

func TestPluginSchema(t *testing.T) {
	schema, err := launch(t).base.ConfigSchema()
	if err != nil {
		t.Fatal(err)
	}
	value, err := parse(t, schema, "", nil)
	if err != nil {
		t.Fatalf("an empty block: %v", err)
	}
	got := value.AsValueMap()
	if !got["unveil_defaults"].True() || !got["unveil_by_task"].False() {
		t.Errorf("defaults: %#v", value)
	}
	if dir := got["state_dir"]; dir.IsNull() || dir.AsString() != "/run/nomad-driver-exec2" {
		t.Errorf("default of state_dir: %#v", dir)
	}
	value, err = parse(t, schema, `unveil_defaults = false
		unveil_by_task = true
		unveil_paths = ["r:/etc/hosts"]
		landlock_min_abi = 2
		state_dir = "/run/elsewhere"`, nil)
	if err != nil {
		t.Fatalf("a full block: %v", err)
	}
	if got = value.AsValueMap(); got["unveil_defaults"].True() || got["unveil_paths"].LengthInt() != 1 || got["state_dir"].AsString() != "/run/elsewhere" {
		t.Errorf("a full block became %#v", value)
	}
	_, err = parse(t, schema, `unveil_default = true`, nil)
	wantWords(t, err, "unveil_default")
}

func TestTaskSchema(t *testing.T) {
	schema, err := launch(t).TaskConfigSchema()
	if err != nil {
		t.Fatal(err)
	}
	value, err := parse(t, schema, `command = "/bin/true"
		args = ["a", "b"]
		unveil = ["r:/etc/hosts"]
		oom_score_adj = "500"
		work_dir = "local"`, nil)
	if err != nil {
		t.Fatalf("a full block: %v", err)
	}
	got := value.AsValueMap()
	if score, _ := got["oom_score_adj"].AsBigFloat().Int64(); score != 500 || got["args"].LengthInt() != 2 || got["work_dir"].AsString() != "local" {
		t.Errorf("a full block became %#v", value)
	}
	_, err = parse(t, schema, `args = ["a"]`, nil)
	wantWords(t, err, "command")
	_, err = parse(t, schema, "command = \"/bin/true\"\nimage = \"x\"", nil)
	wantWords(t, err, "image")
}

func TestSetConfig(t *testing.T) {
	d := launch(t)
	// Before it fingerprints, the agent validates: twice, and without its own configuration.
	for range 2 {
		if err := d.setConfig(t, nil); err != nil {
			t.Errorf("without nomad_config: %v", err)
		}
	}
	for range 2 {
		if err := d.setConfig(t, agentConfig()); err != nil {
			t.Errorf("with nomad_config: %v", err)
		}
	}
	if err := d.setConfig(t, nil, `state_dir = "/run/nomad-suite-unused"`); err != nil {
		t.Errorf("an absolute state_dir: %v", err)
	}
	if _, err := os.Stat("/run/nomad-suite-unused"); err == nil {
		t.Error("SetConfig has made the state directory: validation must have no effects")
	}
	wantWords(t, d.setConfig(t, nil, `state_dir = "relative/dir"`), "state_dir", "relative/dir")
	wantWords(t, d.setConfig(t, nil, `unveil_paths = ["/etc"]`), "unveil_paths", "/etc")
	err := d.base.SetConfig(&base.Config{ApiVersion: drivers.ApiVersion010, PluginConfig: []byte{0xc1, 0xff, 0x00}})
	wantWords(t, err, "malformed msgpack")
	d.answers(t)
}

func TestSecondProcess(t *testing.T) {
	first, second := start(t), start(t)
	for _, d := range []*driver{first, second, first} {
		if out := d.output(t, shell("echo alive")); out != "alive\n" {
			t.Errorf("output %q", out)
		}
	}
}

// TestAgentStart goes through all launches of an agent's start with the agent's own plugin loader.
func TestAgentStart(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(*pluginPath, filepath.Join(dir, pluginName)); err != nil {
		t.Fatal(err)
	}
	// This version's loader leaves the plugin whose SetConfig failed running; no other has this path.
	t.Cleanup(func() {
		commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range commands {
			line, _ := os.ReadFile(file)
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && strings.HasPrefix(string(line), dir+"/") {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	log := new(journal)
	showOnFailure(t, log)
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: log})
	load := func(options map[string]any) (catalog *loader.PluginLoader, err error) {
		bounded(t, "the agent's start", func() {
			catalog, err = loader.NewPluginLoader(&loader.PluginLoaderConfig{
				Logger: logger, PluginDir: dir, SupportedVersions: loader.AgentSupportedApiVersions,
				Configs: []*config.PluginConfig{{Name: pluginName, Config: options}},
			})
		})
		return
	}
	_, err := load(map[string]any{"state_dir": "relative"})
	wantWords(t, err, "state_dir")

	catalog, err := load(map[string]any{"unveil_by_task": true})
	if err != nil {
		t.Fatalf("the agent would not start: %v", err)
	}
	instance, err := catalog.Dispense("exec2", base.PluginTypeDriver, agentConfig(), logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(instance.Kill)
	reattach, ok := instance.ReattachConfig()
	if !ok {
		t.Fatal("cannot be reattached")
	}
	again, err := catalog.Reattach("exec2", base.PluginTypeDriver, reattach)
	if err != nil {
		t.Fatalf("an agent that crashed could not come back: %v", err)
	}
	if caps, err := again.Plugin().(drivers.DriverPlugin).Capabilities(); err != nil || !caps.DynamicWorkloadUsers {
		t.Errorf("capabilities after reattaching: %+v, %v", caps, err)
	}
}
