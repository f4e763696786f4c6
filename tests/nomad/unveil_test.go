package nomad

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPasswdIsHidden(t *testing.T) {
	d := start(t, "unveil_by_task = true")
	open := filepath.Join(host.dir, "open")
	if err := os.WriteFile(open, []byte("granted\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("cat %s; cat /etc/passwd && echo read", open)
	a := d.alloc(t)
	a.start(shell(script+" || exit 9", fmt.Sprintf(`unveil = ["r:%s"]`, open))).ends(9)
	if out := a.drained(); out != "granted\n" {
		t.Errorf("with only %s unveiled the task read %q", open, out)
	}
	if out := d.output(t, shell(script, fmt.Sprintf(`unveil = ["r:%s", "r:/etc/passwd"]`, open))); !strings.HasSuffix(out, "read\n") {
		t.Errorf("with /etc/passwd unveiled the task read %q", out)
	}
	// The same file without its unveil.
	a = d.alloc(t)
	a.start(shell("cat " + open + " || exit 9")).ends(9)
}

func TestUnveilByTaskNeedsLeave(t *testing.T) {
	j := shell("exit 0", `unveil = ["r:/etc"]`)
	start(t).alloc(t).refused(j, "unveil")
	start(t, "unveil_by_task = true").alloc(t).start(j).ends(0)
}

func TestUnveilOfMissingPath(t *testing.T) {
	d := start(t, "unveil_by_task = true")
	d.alloc(t).refused(shell("exit 0", `unveil = ["r:/no/such/path"]`), "unveil r:/no/such/path", "ENOENT")
	d.alloc(t).start(shell("exit 0", `unveil = ["?r:/no/such/path"]`)).ends(0)
}

func TestMalformedUnveil(t *testing.T) {
	d := start(t, "unveil_by_task = true")
	for unveil, reason := range map[string]string{"q:/etc": "'q'", "/etc": "colon", "r:etc": "not absolute", "r:/etc/../root": ".."} {
		d.alloc(t).refused(shell("exit 0", fmt.Sprintf(`unveil = ["r:/etc/hosts", %q]`, unveil)), "unveil[1]", unveil, reason)
	}
}

// TestUnveilPaths has every task get what the operator names, in both views.
func TestUnveilPaths(t *testing.T) {
	dir := filepath.Join(host.dir, "operators")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("granted\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	read := fmt.Sprintf("cat %s/text; echo x 2>/dev/null >%[1]s/text || echo read-only", dir)
	d, without := start(t, fmt.Sprintf(`unveil_paths = ["r:%s", "?r:/no/such/path"]`, dir)), start(t)
	for _, view := range []string{"host", "private"} {
		option := fmt.Sprintf("view = %q", view)
		if out := d.output(t, shell(read, option)); out != "granted\nread-only\n" {
			t.Errorf("%s: the task has %q", view, out)
		}
		if out := without.output(t, shell(read, option)); out != "read-only\n" {
			t.Errorf("%s: without unveil_paths the task has %q", view, out)
		}
	}
	d = start(t, `unveil_paths = ["r:/no/such/path"]`)
	d.alloc(t).refused(shell("exit 0"), "unveil_paths r:/no/such/path", "ENOENT")
	other := d.alloc(t).task.AllocDir
	d = start(t, fmt.Sprintf(`unveil_paths = ["r:%s"]`, other))
	d.alloc(t).refused(shell("exit 0"), "unveil_paths: "+other)
	d = start(t, `unveil_paths = ["r:/"]`)
	d.alloc(t).refused(shell("exit 0", `view = "private"`), "unveil_paths: / ")
}

// TestWithoutUnveilDefaults has a task get what the operator names, its own directories, and nothing else.
func TestWithoutUnveilDefaults(t *testing.T) {
	var paths []string
	for _, dir := range []string{"/bin", "/usr/bin", "/lib", "/lib64", "/usr/lib", "/usr/lib64"} {
		paths = append(paths, "?rx:"+dir)
	}
	d := start(t, "unveil_defaults = false", fmt.Sprintf("unveil_paths = [%s]", `"`+strings.Join(paths, `", "`)+`"`))
	script := `ls $NOMAD_SECRETS_DIR; for dir in TASK ALLOC; do eval "dir=\$NOMAD_"$dir"_DIR"; echo x >$dir/f && cat $dir/f; done
		grep -c ^Pid: /proc/self/status; read line </etc/hosts && echo hosts; exit 0`
	if out := d.output(t, shell(script)); out != "x\nx\n1\n" {
		t.Errorf("the task has %q", out)
	}
	if out := start(t).output(t, shell(script)); out != "x\nx\n1\nhosts\n" {
		t.Errorf("with the defaults it has %q", out)
	}
	start(t, "unveil_defaults = false").alloc(t).refused(shell("exit 0"), "command /bin/sh", "EACCES")
}

// TestUnveilWords has a word bring what its name says, in a job, in the plugin's own option and in both views; without it that is not there.
func TestUnveilWords(t *testing.T) {
	d := start(t, "unveil_by_task = true")
	name := filepath.Join("/tmp", filepath.Base(host.dir)+"-word")
	t.Cleanup(func() { os.Remove(name) })
	script := fmt.Sprintf("(echo > %[1]q && rm %[1]q && echo made) 2>/dev/null || echo none", name)
	unveil := `unveil = ["@tmp", "@dns", "@java", "@node", "@python", "@tty", "@certs", "@stdio", "@shared"]`
	for option, want := range map[string]string{"": "none\n", unveil: "made\n"} {
		if out := d.output(t, shell(script, option)); out != want {
			t.Errorf("%q: %q, want %q", option, out, want)
		}
	}
	paths := start(t, "unveil_defaults = false", `unveil_paths = ["@shared", "rx:/bin", "@tmp"]`)
	for _, view := range []string{`view = "host"`, `view = "private"`} {
		if out := paths.output(t, shell(script, view)); out != "made\n" {
			t.Errorf("in unveil_paths, %s: %q", view, out)
		}
	}
	d.alloc(t).refused(shell("exit 0", `unveil = ["r:/etc", "@music"]`), "unveil[1]", "@music", "@shared")
	d.alloc(t).refused(shell("exit 0", `unveil = ["r:@dns"]`), "unveil[0]", "stands alone")
	start(t).alloc(t).refused(shell("exit 0", `unveil = ["@dns"]`), "unveil_by_task")
	wantWords(t, launch(t).setConfig(t, agentConfig(), `unveil_paths = ["@music"]`), "unveil_paths[0]", "@music")
}
