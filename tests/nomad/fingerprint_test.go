package nomad

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/drivers"
	"github.com/hashicorp/nomad/plugins/drivers/fsisolation"
	"golang.org/x/sys/unix"
)

func TestFingerprint(t *testing.T) {
	d := start(t, "unveil_by_task = true", "unveil_defaults = false")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := d.Fingerprint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f := firstFingerprint(t, stream)
	t.Logf("%s: %s", f.Health, f.HealthDescription)
	if host.hasLimits {
		if f.Health != drivers.HealthStateHealthy || f.HealthDescription == "" {
			t.Errorf("%s: %s", f.Health, f.HealthDescription)
		}
		for name, want := range map[string]bool{"driver.exec2.unveil.tasks": true, "driver.exec2.unveil.defaults": false} {
			if a := f.Attributes[name]; a == nil || a.Bool == nil || *a.Bool != want {
				t.Errorf("%s is %v, want %v", name, a, want)
			}
		}
		for _, name := range []string{"driver.exec2.landlock.abi", "driver.exec2.caps.allowlist", "driver.exec2.version", "driver.exec2.features"} {
			if f.Attributes[name] == nil {
				t.Errorf("no attribute %s", name)
			}
		}
	} else {
		if f.Health != drivers.HealthStateUndetected {
			t.Errorf("%s on a host without cgroup v2 controllers", f.Health)
		}
		wantWords(t, errorString(f.HealthDescription), "cgroup")
	}
	staysOpen(t, stream)
}

func TestFingerprintOfAnOpenStateDir(t *testing.T) {
	d := launch(t)
	dir := filepath.Join(host.dir, "open-state")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.setConfig(t, agentConfig(), fmt.Sprintf("state_dir = %q", dir)); err != nil {
		t.Fatal(err)
	}
	stream, err := d.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := firstFingerprint(t, stream)
	if f.Health != drivers.HealthStateUndetected {
		t.Errorf("%s: %s", f.Health, f.HealthDescription)
	}
	wantWords(t, errorString(f.HealthDescription), "state_dir", "root", "0700", dir)
}

func TestFingerprintOfTooOldLandlock(t *testing.T) {
	abi, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if abi >= 11 {
		t.Skipf("Landlock ABI %d is the newest that an operator may ask for", abi)
	}
	stream, err := start(t, fmt.Sprintf("landlock_min_abi = %d", abi+1)).Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := firstFingerprint(t, stream)
	if f.Health != drivers.HealthStateUndetected {
		t.Errorf("%s: %s", f.Health, f.HealthDescription)
	}
	wantWords(t, errorString(f.HealthDescription), fmt.Sprintf("Landlock ABI %d ", abi), fmt.Sprintf("landlock_min_abi = %d", abi+1))
}

func TestTaskEvents(t *testing.T) {
	stream, err := start(t).TaskEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	staysOpen(t, stream)
}

func TestCapabilities(t *testing.T) {
	caps, err := start(t).Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	if !caps.SendSignals || !caps.Exec || !caps.DynamicWorkloadUsers || caps.FSIsolation != fsisolation.Unveil || caps.MustInitiateNetwork || caps.DisableLogCollection {
		t.Errorf("capabilities: %+v", caps)
	}
	for mode, want := range map[drivers.NetIsolationMode]bool{
		drivers.NetIsolationModeHost: true, drivers.NetIsolationModeGroup: true, drivers.NetIsolationModeNone: true,
		drivers.NetIsolationModeTask: false,
	} {
		if caps.HasNetIsolationMode(mode) != want {
			t.Errorf("network mode %s: %v, want %v", mode, !want, want)
		}
	}
}

func firstFingerprint(t *testing.T, stream <-chan *drivers.Fingerprint) *drivers.Fingerprint {
	t.Helper()
	select {
	case f := <-stream:
		if f == nil || f.Err != nil {
			t.Fatalf("fingerprint: %+v", f)
		}
		return f
	case <-time.After(*patience):
		t.Fatal("no first fingerprint")
	}
	return nil
}

// staysOpen wants nothing more from a stream for a while: the client would reopen an ended one without a pause.
func staysOpen[T any](t *testing.T, stream <-chan T) {
	t.Helper()
	select {
	case e, open := <-stream:
		t.Errorf("unexpected on the stream (open: %v): %+v", open, e)
	case <-time.After(1500 * time.Millisecond):
	}
}

type errorString string

func (s errorString) Error() string { return string(s) }
