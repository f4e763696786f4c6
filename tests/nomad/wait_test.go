package nomad

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers"
)

const unknownID = "00000000-0000-4000-8000-000000000000/main/00000000"

func TestWait(t *testing.T) {
	k := start(t).alloc(t).start(shell(trapping))
	k.prints("ready")
	var waiters []<-chan *drivers.ExitResult
	for range 5 {
		waiters = append(waiters, k.waiting())
	}
	// One that gives up takes nothing from the others.
	ctx, cancel := context.WithCancel(t.Context())
	abandoned, err := k.driver.WaitTask(ctx, k.id)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if r := k.received(abandoned); r.Err == nil {
		t.Errorf("an abandoned wait gives %+v", *r)
	}
	k.stop(killTimeout, "SIGTERM")
	for i, w := range waiters {
		if r := k.received(w); r.ExitCode != 55 || r.Signal != 0 || r.Err != nil {
			t.Errorf("waiter %d: %+v", i, *r)
		}
	}
	k.ends(55)
	k.ends(55)
	k.destroy()
	if r := k.wait(); r.Err == nil {
		t.Errorf("after DestroyTask a wait gives %+v", *r)
	}
}

func TestWaitComesAfterTheLastProcess(t *testing.T) {
	k := start(t).alloc(t).start(shell(`(trap '' HUP INT TERM; exec setsid sleep 600) & exit 7`))
	if r := k.wait(); r.ExitCode != 7 {
		t.Errorf("ended with %+v", *r)
	}
	if left := members(k.cgroup); len(left) > 0 {
		t.Errorf("WaitTask was answered with processes left in the cgroup: %v", left)
	}
}

func TestUnknownTask(t *testing.T) {
	d := start(t)
	k := &task{alloc: &alloc{t: t, driver: d}, id: unknownID}
	if r := k.wait(); r.Err == nil {
		t.Errorf("WaitTask gives %+v", *r)
	}
	// An error of StopTask would keep the client trying for minutes.
	for name, call := range map[string]func() error{
		"StopTask":    func() error { return d.StopTask(unknownID, time.Second, "SIGINT") },
		"DestroyTask": func() error { return d.DestroyTask(unknownID, true) },
		"SignalTask":  func() error { return d.SignalTask(unknownID, "SIGHUP") },
	} {
		var err error
		bounded(t, name, func() { err = call() })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := d.InspectTask(unknownID)
	wantWords(t, err, drivers.ErrTaskNotFound.Error())
}

func TestDuplicateID(t *testing.T) {
	a := start(t).alloc(t)
	k := a.start(shell(trapping))
	k.prints("ready")
	again := shell("exit 0")
	again.change = func(c *drivers.TaskConfig) { c.ID = k.id }
	_, err := a.try(again)
	wantWords(t, err, k.id, "exists already")
	if !k.running() {
		t.Fatal("the first task did not survive the refusal of the second")
	}
	k.stop(killTimeout, "SIGTERM")
	k.ends(55)
}

func TestDestroy(t *testing.T) {
	k := start(t).alloc(t).start(shell(trapping))
	k.prints("ready")
	waiter := k.waiting()
	wantWords(t, k.driver.DestroyTask(k.id, false), "running")
	if !k.running() {
		t.Fatal("an unforced DestroyTask ended the task")
	}
	k.destroy()
	if r := k.received(waiter); r.ExitCode != 137 || r.Signal != 9 || r.Err != nil {
		t.Errorf("a waiter of the destroyed task gets %+v", *r)
	}
	_, err := k.driver.InspectTask(k.id)
	wantWords(t, err, drivers.ErrTaskNotFound.Error())
}
