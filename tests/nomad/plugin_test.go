package nomad

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/nomad/helper/pluginutils/hclspecutils"
	"github.com/hashicorp/nomad/helper/pluginutils/hclutils"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/drivers"
	"github.com/hashicorp/nomad/plugins/drivers/proto"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/msgpack"
)

// driver is one plugin process and Nomad's client of it.
type driver struct {
	drivers.DriverPlugin
	base   base.BasePlugin
	wire   proto.DriverClient // for messages that Nomad's client would not send
	client *goplugin.Client
	cmd    *exec.Cmd
	log    *journal
	state  string        // state_dir
	schema *hclspec.Spec // of the task's config block
}

// journal keeps what the plugin logs, to show it when a test fails.
type journal struct {
	sync.Mutex
	bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.Lock()
	defer j.Unlock()
	return j.Buffer.Write(b)
}

func (j *journal) String() string {
	j.Lock()
	defer j.Unlock()
	return j.Buffer.String()
}

func showOnFailure(t *testing.T, j *journal) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the plugin's log:\n%s", j)
		}
	})
}

// launch starts the plugin as the agent does, without configuring it.
func launch(t *testing.T) *driver {
	t.Helper()
	cmd := exec.Command(*pluginPath)
	d := connect(t, &goplugin.ClientConfig{Cmd: cmd})
	d.cmd = cmd
	return d
}

// connect dispenses the driver with the agent's plugin set and kills it when the test is over.
func connect(t *testing.T, config *goplugin.ClientConfig) *driver {
	t.Helper()
	d := &driver{log: new(journal)}
	showOnFailure(t, d.log)
	config.HandshakeConfig = base.Handshake
	config.Plugins = goplugin.PluginSet{
		base.PluginTypeBase:   &base.PluginBase{},
		base.PluginTypeDriver: drivers.NewDriverPlugin(nil, hclog.NewNullLogger()),
	}
	config.AllowedProtocols = []goplugin.Protocol{goplugin.ProtocolGRPC}
	config.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: d.log})
	d.client = goplugin.NewClient(config)
	t.Cleanup(d.client.Kill)
	var err error
	bounded(t, "launch", func() { err = d.dispense() })
	if err != nil {
		t.Fatalf("launch: %v", err)
	}
	return d
}

func (d *driver) dispense() error {
	rpc, err := d.client.Client()
	if err != nil {
		return err
	}
	driverRaw, err := rpc.Dispense(base.PluginTypeDriver)
	if err != nil {
		return err
	}
	baseRaw, err := rpc.Dispense(base.PluginTypeBase)
	if err != nil {
		return err
	}
	d.DriverPlugin = driverRaw.(drivers.DriverPlugin)
	d.base = baseRaw.(base.BasePlugin)
	d.wire = proto.NewDriverClient(rpc.(*goplugin.GRPCClient).Conn)
	return nil
}

// start launches and configures a plugin. options are lines of the plugin's config block.
func start(t *testing.T, options ...string) *driver {
	t.Helper()
	d := launch(t)
	d.configure(t, options...)
	return d
}

func (d *driver) configure(t *testing.T, options ...string) {
	t.Helper()
	host.states++
	d.state = filepath.Join(host.dir, fmt.Sprintf("state-%d", host.states))
	options = append(options, fmt.Sprintf("state_dir = %q", d.state))
	if err := d.setConfig(t, agentConfig(), options...); err != nil {
		t.Fatalf("SetConfig: %v", err)
	}
	var err error
	if d.schema, err = d.TaskConfigSchema(); err != nil {
		t.Fatalf("TaskConfigSchema: %v", err)
	}
}

// setConfig parses a config block with the plugin's own schema, as the agent does, and sends it.
func (d *driver) setConfig(t *testing.T, agent *base.AgentConfig, options ...string) error {
	t.Helper()
	schema, err := d.base.ConfigSchema()
	if err != nil {
		t.Fatalf("ConfigSchema: %v", err)
	}
	value, err := parse(t, schema, strings.Join(options, "\n"), nil)
	if err != nil {
		t.Fatalf("the agent refuses the plugin's config block: %v", err)
	}
	packed, err := msgpack.Marshal(value, value.Type())
	if err != nil {
		t.Fatal(err)
	}
	bounded(t, "SetConfig", func() {
		err = d.base.SetConfig(&base.Config{ApiVersion: drivers.ApiVersion010, PluginConfig: packed, AgentConfig: agent})
	})
	return err
}

func agentConfig() *base.AgentConfig {
	return &base.AgentConfig{Driver: &base.ClientDriverConfig{Topology: host.topology}}
}

// parse takes a config block through HCL, the schema and variables, as Nomad does with plugin and task blocks.
func parse(t *testing.T, schema *hclspec.Spec, block string, vars map[string]cty.Value) (cty.Value, error) {
	t.Helper()
	spec, diags := hclspecutils.Convert(schema)
	if diags.HasErrors() {
		t.Fatalf("Nomad cannot convert the schema: %v", diags)
	}
	value, diags, _ := hclutils.ParseHclInterface(hclutils.HclConfigToInterface(t, "config {\n"+block+"\n}"), spec, vars)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	return value, nil
}

func (d *driver) pid() int { return d.client.ReattachConfig().Pid }

// count returns how many entries /proc/<pid>/what of the plugin has: fd or task.
func (d *driver) count(t *testing.T, what string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(d.pid()), what))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// answers fails the test unless the plugin still serves.
func (d *driver) answers(t *testing.T) {
	t.Helper()
	var err error
	bounded(t, "PluginInfo", func() { _, err = d.base.PluginInfo() })
	if err != nil {
		t.Fatalf("the plugin no longer answers: %v", err)
	}
}

// bare is a plugin process without Nomad's client around it.
type bare struct {
	cmd            *exec.Cmd
	stdout, stderr *os.File
	ended          chan error // gives what Wait returns
}

// launchBare starts the plugin with the agent's environment, less or plus what is given.
func launchBare(t *testing.T, env ...string) *bare {
	t.Helper()
	b := &bare{cmd: exec.Command(*pluginPath), ended: make(chan error, 1)}
	b.cmd.Env = append(os.Environ(), env...)
	b.stdout = b.pipe(t, &b.cmd.Stdout)
	b.stderr = b.pipe(t, &b.cmd.Stderr)
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.ended <- b.cmd.Wait() }()
	t.Cleanup(func() { b.cmd.Process.Kill() })
	b.cmd.Stdout.(*os.File).Close()
	b.cmd.Stderr.(*os.File).Close()
	return b
}

func (b *bare) pipe(t *testing.T, end *io.Writer) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	*end = w
	t.Cleanup(func() { r.Close() })
	return r
}

// cookie is the environment in which the agent launches plugins.
func cookie() []string {
	return []string{base.Handshake.MagicCookieKey + "=" + base.Handshake.MagicCookieValue,
		"PLUGIN_MIN_PORT=10000", "PLUGIN_MAX_PORT=25000", "PLUGIN_PROTOCOL_VERSIONS=2"}
}

// handshake reads the line that a plugin prints once it serves.
func (b *bare) handshake(t *testing.T) string {
	t.Helper()
	b.stdout.SetReadDeadline(time.Now().Add(*patience))
	line, err := bufio.NewReader(b.stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("no handshake line: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// reattach gives a process that is already up a client, as an agent does that crashed and came back.
func (b *bare) reattach(t *testing.T, line string) *driver {
	t.Helper()
	fields := strings.Split(line, "|")
	if len(fields) < 5 {
		t.Fatalf("handshake line: %q", line)
	}
	return connect(t, &goplugin.ClientConfig{Reattach: &goplugin.ReattachConfig{
		Protocol: goplugin.ProtocolGRPC, ProtocolVersion: 2, Pid: b.cmd.Process.Pid,
		Addr: &net.UnixAddr{Net: fields[2], Name: fields[3]},
	}})
}
