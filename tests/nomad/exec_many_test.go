package nomad

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestExecMany(t *testing.T) {
	slow(t)
	k := start(t).steady(t)
	var all sync.WaitGroup
	for i := range 50 {
		s := k.exec(i%2 == 1, "/bin/sh", "-c", "read line; echo $line; exit $line")
		all.Add(1)
		go func() {
			defer all.Done()
			s.input([]byte(strconv.Itoa(i) + "\n"))
			<-s.done
		}()
		defer func() {
			if out, _ := s.ends(i); !strings.HasSuffix(strings.ReplaceAll(out, "\r\n", "\n"), strconv.Itoa(i)+"\n") {
				t.Errorf("session %d: %q", i, out)
			}
		}()
	}
	all.Wait()
	// More than init has room for are refused, and take nothing from the others.
	var sessions []*session
	for range 128 {
		sessions = append(sessions, k.exec(false, "cat"))
	}
	eventually(t, "128 sessions run", func() bool { return len(members(k.cgroup)) == 130 })
	k.exec(false, "cat").fails("temporarily unavailable")
	for _, s := range sessions {
		s.endInput()
	}
	for _, s := range sessions {
		s.ends(0)
	}
	k.sh("exit 0").ends(0)
	k.alone()
}

// TestExecStorm has clients vanish at every instant of a start, faster than init can serve them: no report of a session may be lost,
// or its process would live on with nobody to kill it.
func TestExecStorm(t *testing.T) {
	slow(t)
	k := start(t).steady(t)
	k.sh("exit 0").ends(0) // what the plugin makes once
	threads := k.driver.count(t, "task")
	for i := range 1000 {
		s := k.driver.open(t)
		s.setup(k.id, false, "sleep", "600")
		time.Sleep(time.Duration(i%40) * 50 * time.Microsecond)
		s.cancel()
	}
	k.alone()
	// grpcio's own come and go.
	eventually(t, "the sessions' threads are gone", func() bool { return k.driver.count(t, "task") <= threads+4 })
	k.sh("exit 7").ends(7)
}
