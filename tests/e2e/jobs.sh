# Sourced by check: what is expected of each of tests/jobs.

# shellcheck shell=bash disable=SC2016,SC2154

check_node() {
    local said
    said=$(nomad node status -self -verbose | tr -s ' ')
    attribute() { sed -n "s/^driver\.exec2$1 = //p" <<<"$said"; }
    is "detected" "$(attribute '')" 1
    is "healthy" "$(grep '^exec2 ' <<<"$said")" 'exec2 true true Healthy *'
    is "landlock.abi" "$(attribute .landlock.abi)" '[1-9]*'
    is "unveil.tasks" "$(attribute .unveil.tasks)" true
    is "unveil.defaults" "$(attribute .unveil.defaults)" true
    is "version" "$(attribute .version)" '[0-9]*.[0-9]*.[0-9]*'
    is "features" "$(attribute .features)" 'refer*'
}

check_logs() {
    finish logs
    is "complete" "$(status)" complete
    is "stdout, nothing lost" "$(nomad alloc logs "$alloc" | cksum)" "$(seq 1 20000 | cksum)"
    is "stderr" "$(nomad alloc logs -stderr "$alloc")" "to stderr"
}

check_confine() {
    local seen
    finish confine
    seen=$(logs)
    line() { sed -n "s/^$1: //p" <<<"$seen"; }
    is "an unveiled file is read" "$(line os-release)" read
    is "another is not" "$(line passwd)" denied
    is "TMPDIR" "$(line tmp)" "/var/lib/nomad/alloc_mounts/$alloc-main/tmp/*"
    # The shell, and the PID 1.
    is "only its own processes" "$(line processes)" 2
    is "no_new_privs" "$(line no_new_privs)" 1
    is "no capability" "$(line capabilities)" 0000000000000000
    is "no ignored signal" "$(line ignored)" 0000000000000000
    is "oom_score_adj is not the agent's" "$(line oom_score_adj)" 0
    is "cgroup" "$(tail -n 1 <<<"$seen")" "0::*/$alloc.main.scope"
}

check_users() {
    finish users
    is "complete" "$(status)" complete
    is "dynamic" "$(logs stdout dynamic | head -n 1)" '8[0-9][0-9][0-9][0-9]:8[0-9][0-9][0-9][0-9] nomad-8[0-9][0-9][0-9][0-9] /nonexistent'
    is "named" "$(logs stdout named | head -n 1)" '5:60 games /usr/games'
    is "dynamic user writes" "$(logs stdout dynamic | tail -n 1)" written
    is "named user writes" "$(logs stdout named | tail -n 1)" written
}

check_sysbatch() {
    finish sysbatch
    is "output" "$(logs)" "once on *"
    is "job dead" "$(api job/sysbatch | jq -r .Status)" dead
}

check_failing() {
    submit failing
    needs "fails" 120 failed_
    is "three exits with 3" "$(exits)" '3/0 3/0 3/0'
    is "restarts" "$(task .Restarts)" 2
    is "each try's output" "$(logs | xargs)" 'try try try'
}
failed_() { placed && [ "$(status)" = failed ]; }

check_missing() {
    submit missing
    needs "fails" 60 failed_
    is "an event names the command" "$(events | grep 'no-such-command')" '*no-such-command*'
    # Of a task that never ran the agent shows no logs; the collector has them all the same.
    is "and so does its log" "$(file alloc/logs/main.stderr.0)" '*not started: command no-such-command: *not found in PATH (*'
    events | sed 's/^/# event: /'
}

check_oom() {
    submit oom
    needs "fails" 120 failed_
    is "killed" "$(exits)" 137/9
    is "OOM in the event" "$(task '.Events[] | select(.Type == "Terminated") | .Details.oom_killed')" true
    # The driver's own event, which may come last.
    soon "in words, with the limit" 10 told_oom
    events | sed 's/^/# event: /'
}

told_oom() { events | grep -q 'OOM.*24 MiB'; }

check_resources() {
    start resources
    is "memory.max" "$(knob memory.max)" 209715200
    is "memory.low" "$(knob memory.low)" 0
    # 1024 of the 2000 MHz of a core; 1024 shares are the kernel's default weight.
    is "cpu.max" "$(knob cpu.max)" "51200 100000"
    is "cpu.weight" "$(knob cpu.weight)" 100
    is "cpuset.cpus" "$(knob cpuset.cpus)" ''
    is "oom_score_adj" "$(cat "/proc/$(main_pid)/oom_score_adj")" 200
    is "two processes" "$(pids | wc -l)" 2
}

check_oversubscription() {
    start oversubscription
    is "memory.low" "$(knob memory.low)" 157286400
    is "memory.max" "$(knob memory.max)" 262144000
}

check_cores() {
    start cores
    is "cpuset.cpus" "$(knob cpuset.cpus)" "$(allocation | jq -r '.AllocatedResources.Tasks.main.Cpu.ReservedCores[0]')"
    is "cpuset.cpus.effective" "$(knob cpuset.cpus.effective)" '[0-9]'
    is "affinity" "$(taskset -cp "$(main_pid)")" "*: [0-9]"
}

# port LABEL: address and number on the host.
port() { allocation | jq -r ".AllocatedResources.Shared.Ports[] | select(.Label == \"$1\") | \"\(.HostIP):\(.Value)\""; }
serves() { curl -sS --max-time 10 "http://$1/" | grep -qx "$2"; }
netns() { stat -Lc %i "/proc/$1/ns/net"; }

check_host_network() {
    start host-network
    soon "served" 30 serves "$(port http)" "served on the host's network"
    is "the host's namespace" "$(netns "$(main_pid)")" "$(netns self)"
}

check_bridge_network() {
    local own
    if ! nomad node status -self -verbose | grep -q 'plugins.cni.version.bridge'; then
        skipped "the agent found no CNI plugins"
        return
    fi
    start bridge-network
    own=$(netns "$(main_pid)")
    is "a namespace of its own" "$([ "$own" != "$(netns self)" ] && echo yes)" yes
    is "Nomad's" "$own" "$(stat -Lc %i "/run/netns/$alloc")"
    is "alloc exec is in it" "$(inside stat -Lc %i /proc/self/ns/net)" "$own"
    soon "served through the host's port" 30 serves "$(port http)" "served from a bridge"
}

check_signal() {
    start signal
    needs "ready" 30 logged ready
    nomad alloc signal -s SIGUSR1 "$alloc" >/dev/null || failed "alloc signal" "exit status $?"
    soon "the handler ran" 30 logged 'got USR1'
    if said=$(nomad alloc signal -s SIGNONSENSE "$alloc" 2>&1); then
        failed "an unknown signal is an error" "$said"
    else
        is "an unknown signal is an error" "$said" '*SIGNONSENSE*'
    fi
    is "still running" "$(task .State)" running
    nomad alloc signal "$alloc" >/dev/null || failed "alloc signal without a name" "exit status $?"
    soon "killed, and started again" 60 restarted 1
    is "exit code" "$(exits)" 137/9
}
restarted() { task '.State + " " + (.Restarts | tostring)' | grep -qx "running $1"; }

check_restart() {
    local before
    start restart
    needs "ready" 30 logged started
    before=$(cgroup)
    timeout 90 nomad alloc restart "$alloc" >/dev/null || failed "alloc restart" "exit status $?"
    needs "started again" 60 starts 2
    is "the first ended by itself" "$(exits)" 0/0
    is "and said so" "$(logs | xargs)" 'started stopped started'
    is "same cgroup" "$(cgroup)" "$before"
    # A late kill of the cgroup would hit the new task.
    sleep 3
    is "runs on" "$(task .State) $(exits)" 'running 0/0'
    timeout 90 nomad alloc restart "$alloc" >/dev/null
    soon "and again" 60 starts 3
    is "ended by itself" "$(exits)" '0/0 0/0'
}
starts() { [ "$(logs | grep -c started)" = "$1" ] && [ "$(task .State)" = running ]; }

check_stop() {
    start stop
    needs "polite is ready" 30 logged ready stdout polite
    needs "stubborn is ready" 30 logged ready stdout stubborn
    # Without -detach the command fails, for the sake of the deployment that this cuts short.
    said=$(nomad job stop -detach stop 2>&1) || failed "job stop" "$said"
    needs "ended" 60 all_dead
    is "polite had its kill_signal" "$(logs stdout polite | tail -n 1)" bye
    is "polite's exit code" "$(exits polite)" 3/0
    is "stubborn was killed" "$(exits stubborn)" 137/9
    took=$(task '[.Events[] | select(.Type == "Killing" or .Type == "Terminated") | .Time] | (max - min) / 1e9 | floor' stubborn)
    is "after its kill_timeout ($took s)" "$took" '[5-9]'
}
all_dead() { allocation | jq -e '[.TaskStates[].State] | unique == ["dead"]'; }

check_exec() {
    local said status
    start exec

    said=$(inside /bin/sh -c 'echo out; echo err >&2; exit 7' 2>/tmp/err)
    status=$?
    is "exit code" $status 7
    is "stdout" "$said" out
    is "stderr" "$(cat /tmp/err)" err
    inside /bin/sh -c 'kill -9 $$' >/dev/null 2>&1
    is "exit code of a signal" $? 137
    is "stdin" "$(echo hello | inside cat)" hello
    head -c 300000 /dev/urandom >/tmp/random
    is "bytes in and out" "$(inside cat </tmp/random | cksum)" "$(cksum </tmp/random)"
    inside no-such-command >/tmp/out 2>&1
    status=$?
    is "a missing command is an error" "$status $(cat /tmp/out)" '[1-9]*no-such-command*'

    is "the task's user" "$(inside id -u)" "$(stat -c %u "/proc/$(main_pid)")"
    is "the task's cgroup" "$(inside cat /proc/self/cgroup)" "0::*/$alloc.main.scope"
    is "the task's environment" "$(inside sh -c 'echo $NOMAD_ALLOC_ID')" "$alloc"
    is "the task's processes" "$(inside ps -e -o comm= | grep -c sleep)" 1
    # By its mode everyone may read the file, and so may that user outside of the task: nothing but Landlock denies it.
    is "does not read what the task may not" "$(inside sh -c 'cat /etc/passwd' 2>&1)" '*/etc/passwd: Permission denied*'
    is "which its user could outside" "$(setpriv --reuid "$(stat -c %u "/proc/$(main_pid)")" --clear-groups head -n 1 /etc/passwd)" 'root:*'
    is "reads what the task may" "$(inside cat /etc/hostname)" guest

    # script(1) is the terminal; its standard input stays open and says nothing.
    said=$(timeout 60 script -qec "stty rows 33 cols 99; nomad alloc exec -i -t $alloc /bin/sh -c 'tty; stty size; cat /etc/passwd /etc/hostname; exit 5'" \
        /dev/null < <(sleep 60))
    status=$?
    said=$(tr -d '\r' <<<"$said" | xargs)
    is "exit code with a terminal" $status 5
    is "a terminal, of the client's size" "$said" '/dev/pts/* 33 99 *'
    is "confined with a terminal" "$said" '*/etc/passwd: Permission denied guest'

    # The client goes away: what it started must end. Nomad notices with the next output.
    timeout 10 nomad alloc exec -t=false "$alloc" /bin/sh -c 'while echo tick; do sleep 1; done' session >/dev/null 2>&1 </dev/null &
    needs "a session runs" 15 session
    wait $!
    soon "it ends with its client" 60 no_session
    is "the task runs on" "$(task .State) $(task .Restarts)" 'running 0'
}
session() { pgrep -fx '/bin/sh -c while echo .* session'; }
no_session() { ! session; }

# word JOB WORD: what the job's template shows.
word() { nomad var put -force "nomad/jobs/$1" word="$2" >/dev/null || failed "variable" "exit status $?"; }

check_template_signal() {
    word template-signal one
    start template-signal
    needs "rendered" 30 logged 'first: one'
    word template-signal two
    soon "the handler ran, and saw the change" 60 logged 'changed: two'
    is "no restart" "$(task .Restarts)" 0
}

check_template_script() {
    word template-script one
    start template-script
    word template-script two
    soon "the script ran, and saw the change" 60 seen two
    soon "confined like the task" 5 seen denied
    is "no restart" "$(task .Restarts)" 0
    events | grep -i script | sed 's/^/# event: /'
}

seen() { file main/local/seen | grep -qx "$1"; }

check_script_check() {
    start script-check
    # Exit code 1 of a script is the state warning.
    soon "warning, as the task's user" 60 reported warning 'as 8[0-9]* in main'
    soon "passing, confined like the task" 30 reported passing '/etc/passwd: Permission denied.*guest'
    soon "critical, after its timeout" 60 reported critical '\(timeout\|deadline\)'
    soon "what timed out is killed" 10 none_hangs
}
none_hangs() { ! pgrep -f 'sleep 3600'; }
# reported STATE OUTPUT
reported() { grep -qi "check/update/.*\"Status\":\"$1\".*$2" /var/log/consul; }

check_stats() {
    start stats
    soon "memory is counted" 90 shown '.ResourceUsage.MemoryStats | .RSS > 8388608 and .Usage > 8388608'
    # A sample of its own each: how much time the machine has for the task in a given second is not the driver's.
    soon "CPU percent" 60 shown '.ResourceUsage.CpuStats.Percent > 10'
    soon "ticks" 60 shown '.ResourceUsage.CpuStats.TotalTicks > 200'
    soon "user and system time" 60 shown '.ResourceUsage.CpuStats | .UserMode + .SystemMode > 10'
    soon "throttled periods" 60 shown '.ResourceUsage.CpuStats.ThrottledPeriods > 0'
    soon "each process" 30 shown '.Pids | length > 1'
    is "alloc status -stats" "$(nomad alloc status -stats "$alloc" | grep -A4 'Memory Stats')" '*RSS*MiB*'
    is "metrics" "$(api 'metrics?format=prometheus' | grep -c "^nomad_client_allocs_memory_rss{.*$alloc")" 1
}
shown() { api "client/allocation/$alloc/stats" | jq -e ".Tasks.main | $1"; }
