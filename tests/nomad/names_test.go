package nomad

import (
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/plugins/drivers"
)

// TestNames has a dns block and the name that a bridge network gives, as the task sees them; they outlive the plugin, and not the task.
func TestNames(t *testing.T) {
	for _, file := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		if _, err := os.Stat(file); err != nil {
			t.Skip(err)
		}
	}
	d := start(t)
	j := shell(`cat /etc/resolv.conf /etc/hosts; ! echo > /etc/resolv.conf || exit 9; ` + trapping)
	j.change = func(c *drivers.TaskConfig) {
		c.DNS = &drivers.DNSConfig{Servers: []string{"192.0.2.1"}, Searches: []string{"a.test", "b.test"}, Options: []string{"ndots:2"}}
		c.NetworkIsolation = &drivers.NetworkIsolationSpec{
			Mode: drivers.NetIsolationModeGroup, Path: "/proc/self/ns/net",
			HostsConfig: &drivers.HostsConfig{Hostname: "web-1", Address: "192.0.2.50"},
		}
	}
	a := d.alloc(t)
	k := a.start(j)
	k.prints("ready")
	out := a.stdout()
	for _, want := range []string{"search a.test b.test\nnameserver 192.0.2.1\noptions ndots:2\n127.0.0.1 localhost\n", "\n192.0.2.50 web-1\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	d.crash(t)
	k.recovered(d.successor(t))
	k.stop(killTimeout, "SIGTERM")
	k.ends(55)
	k.destroy()
	if files := filesBelow(t, d.state); len(files) > 0 {
		t.Errorf("left in state_dir: %v", files)
	}

	d = start(t)
	host, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	if out := d.output(t, shell("cat /etc/resolv.conf")); out != string(host) {
		t.Errorf("without a dns block the task reads %q, the host's is %q", out, host)
	}
	for word, dns := range map[string]*drivers.DNSConfig{
		"dns.servers[0]":  {Servers: []string{"192.0.2.1\nnameserver 192.0.2.66"}},
		"dns.searches[1]": {Searches: []string{"a.test", "b.test\n"}},
		"dns.options[0]":  {Options: []string{""}},
		"not an address":  {Servers: []string{"dns.test"}},
	} {
		j := shell("exit 7")
		j.change = func(c *drivers.TaskConfig) { c.DNS = dns }
		d.alloc(t).refused(j, "dns", word)
	}
}
