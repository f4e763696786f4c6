package nomad

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/plugins/drivers"
)

// ids is a job that prints its user, group and groups, as a user if one is given.
func ids(user string, extra ...string) job {
	j := shell(`echo "$(id -u):$(id -g):$(id -G)"`, extra...)
	if user != "" {
		j.change = func(c *drivers.TaskConfig) { c.User = user }
	}
	return j
}

func TestGroups(t *testing.T) {
	d := start(t)
	for want, options := range map[string][]string{
		"ID:ID:ID":   nil,
		"ID:77:77":   {`group = "77"`},
		"ID:0:0 77":  {`group = "root"`, `group_add = ["77", "root"]`},
		"ID:ID:ID 0": {`group_add = ["root"]`},
	} {
		a := d.alloc(t)
		a.start(ids("", options...)).ends(0)
		want = strings.ReplaceAll(want, "ID", strings.TrimPrefix(a.user, "nomad-"))
		if out := a.drained(); out != want+"\n" {
			t.Errorf("%v: %q, want %q", options, out, want)
		}
	}
	a := d.alloc(t)
	a.refused(ids("", `group = "no-such-group"`), "group", `"no-such-group"`, "/etc/group")
	a.refused(ids("", `group_add = ["0", "no-such-group"]`), "group_add", `"no-such-group"`)
	a.refused(ids("no-such-user"), `"no-such-user"`, "/etc/passwd")
}

func TestDeniedIds(t *testing.T) {
	d := start(t, `denied_host_uids = "0,10-20"`, `denied_host_gids = "0,77-78"`)
	a := d.alloc(t)
	a.start(ids("")).ends(0)
	for user, denied := range map[string]string{"root": "uid 0", "15:1000": "uid 15", "1000:78": "gid 78", "1000:0": "gid 0"} {
		d.alloc(t).refused(ids(user), "user", denied, "denied_host_")
	}
	d.alloc(t).refused(ids("", `group = "77"`), "gid 77", "denied_host_gids")
	d.alloc(t).refused(ids("", `group_add = ["root"]`), "gid 0", "denied_host_gids")
	for _, option := range []string{"denied_host_uids", "denied_host_gids"} {
		wantWords(t, launch(t).setConfig(t, agentConfig(), option+` = "0,x"`), option, `"x"`, "range")
	}
}

// TestUserDatabase stands in for systemd's, where there is none.
func TestUserDatabase(t *testing.T) {
	const socket = "/run/systemd/userdb/io.systemd.Multiplexer"
	if _, err := os.Lstat(socket); err == nil {
		t.Skip("this host has a user database")
	}
	for _, dir := range []string{"/run/systemd", filepath.Dir(socket)} {
		if os.Mkdir(dir, 0o755) == nil {
			t.Cleanup(func() { os.Remove(dir) })
		}
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	a := start(t).alloc(t)
	uid := strings.TrimPrefix(a.user, "nomad-")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			text, _ := bufio.NewReader(conn).ReadString(0)
			var question struct {
				Method     string
				Parameters struct{ UserName, GroupName string }
			}
			json.Unmarshal([]byte(strings.TrimSuffix(text, "\x00")), &question)
			_, method, _ := strings.Cut(question.Method, "UserDatabase.")
			switch method + " " + question.Parameters.UserName + question.Parameters.GroupName {
			case "GetUserRecord ghost":
				fmt.Fprintf(conn, `{"parameters":{"record":{"userName":"ghost","uid":%s,"gid":%s,"homeDirectory":"/home/ghost"},"incomplete":false}}`+"\x00", uid, uid)
			case "GetMemberships ghost":
				fmt.Fprint(conn, `{"parameters":{"userName":"ghost","groupName":"ghosts"}}`+"\x00")
			case "GetGroupRecord ghosts":
				fmt.Fprint(conn, `{"parameters":{"record":{"groupName":"ghosts","gid":64444},"incomplete":false}}`+"\x00")
			default:
				fmt.Fprint(conn, `{"error":"io.systemd.UserDatabase.NoRecordFound","parameters":{}}`+"\x00")
			}
			conn.Close()
		}
	}()
	j := shell(`echo "$(id -u):$(id -G):$USER:$LOGNAME:$HOME"`)
	j.change = func(c *drivers.TaskConfig) { c.User = "ghost" }
	a.start(j).ends(0)
	if out, want := a.drained(), fmt.Sprintf("%s:%s 64444:ghost:ghost:/home/ghost\n", uid, uid); out != want {
		t.Errorf("a user of the database: %q, want %q", out, want)
	}
	if out, want := a.driver.output(t, ids("1717", `group = "ghosts"`, `work_dir = "/"`)), "1717:64444:64444\n"; out != want {
		t.Errorf("a group of the database: %q, want %q", out, want)
	}
	a.refused(ids("nobody-at-all"), `"nobody-at-all"`, "userdb")
}
