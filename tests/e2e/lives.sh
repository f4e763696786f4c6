# Sourced by check: what must hold when the agent or the plugin is stopped, killed and started again.

# shellcheck shell=bash disable=SC2119,SC2120,SC2154

# survivors: the job that lives through all of it, and the one whose tasks end unseen. Started by whichever check comes first.
survivors() {
    local index
    job=ender
    alloc=
    placed || { submit ender; needs "enders run" 90 all_running 3; }
    for index in 0 1 2; do
        placed $index && enders[index]=$alloc
    done
    job=survivor alloc=
    placed || start survivor
    needs "counts" 60 logged '^[1-9]'
    task_pid=$(main_pid)
    # They live longer than this check.
    # shellcheck disable=SC2034
    submitted=()
}
enders=()
all_running() { placed && [ "$(api "job/$job/allocations" | jq '[.[] | select(.ClientStatus == "running")] | length')" = "$1" ]; }

# end INDEX: lets one of the enders end, and waits until it is gone. The agent is not asked: it may be down.
end() {
    local alloc=${enders[$1]}
    touch "/var/lib/nomad/data/alloc/$alloc/main/local/end"
    eventually 20 nobody_in "$(cgroup)" || failed "ender $1 ends" "$(pids | xargs)"
}
nobody_in() { ! grep -qs 'populated 1' "$1/cgroup.events"; }

# survived: the same process, known to the agent, with its log, its signals, its sessions and its figures.
survived() {
    job=survivor
    placed
    before=$(counted)
    soon "its log goes on" 30 grew
    is "no gap in its log" "$(logs | grep -x '[0-9]*' | awk '$1 != ++n { print "after " n - 1; exit }')" ''
    signals=$(signalled)
    nomad alloc signal -s SIGUSR1 "$alloc" >/dev/null 2>&1 || failed "alloc signal" "exit status $?"
    soon "signalled" 30 signalled "$signals"
    is "alloc exec" "$(inside echo hello 2>&1)" hello
    soon "figures" 30 measured
    is "same process" "$(main_pid)" "$task_pid"
    is "known as running, no restart" "$(status) $(task '.State + " " + (.Restarts | tostring)')" 'running running 0'
}
counted() { logs | grep -x '[0-9]*' | tail -n 1; }
grew() { [ "$(counted)" -gt "${before:-0}" ]; }
# signalled [COUNT]: how often its handler ran; whether that is more than COUNT.
signalled() {
    local times
    times=$(logs | grep -c 'got USR1')
    if [ $# = 0 ]; then echo "$times"; else [ "$times" -gt "$1" ]; fi
}
measured() { api "client/allocation/$alloc/stats" | jq -e '.Tasks.main.ResourceUsage.MemoryStats | .RSS > 0 or .Usage > 0'; }

task_uid() { stat -c %u "/proc/$(main_pid)"; }

# told INDEX: the exit code of the ender that nobody saw ending.
told() {
    alloc=${enders[$1]}
    soon "exit code of a task that ended meanwhile" 60 ended_with 7/0
}
ended_with() { [ "$(exits)" = "$1" ]; }

back() {
    eventually 120 agent_ready || { failed "agent ready again" "$(tail -n 3 "$agent_log")"; exit 0; }
    passed "agent ready again"
}

strict() { nomad node status -self -verbose | grep -q 'unveil\.tasks *= *false'; }

check_policy() {
    survivors
    agent_signal TERM
    needs "agent ends" 60 agent_gone
    sed 's/unveil_by_task = true/unveil_by_task = false/' /opt/e2e/agent.hcl >/tmp/agent-strict.hcl
    agent_start /tmp/agent-strict.hcl
    back
    # The agent tells its server of what it found some time after it is ready.
    soon "node attribute" 60 strict
    submit unveil
    needs "the job fails" 60 failed_
    is "an event says why" "$(events | grep unveil_by_task)" '*unveil*'
    events | sed 's/^/# event: /'
    stop unveil
    agent_signal TERM
    needs "agent ends" 60 agent_gone
    agent_start
    back
    finish unveil
    is "allowed again" "$(status)" complete
    job=survivor
    placed && is "tasks with unveil ran on" "$(main_pid)" "$task_pid"
}

check_agent_restart() {
    local uid times
    survivors
    start restart
    needs "its user is known" 30 task_uid
    uid=$(task_uid)
    old=$(plugin_pid)
    agent_signal INT
    needs "agent ends" 60 agent_gone
    is "the plugin with it" "$(kill -0 "$old" 2>&1)" '*No such process*'
    end 0
    agent_start
    back
    survived
    told 0

    # The agent may have forgotten which user it gave to the task, or (1.8) give it another at the second try: the task's directory tells.
    job=restart
    placed
    for times in 2 3; do
        timeout 90 nomad alloc restart "$alloc" >/dev/null 2>&1
        needs "a task is started again ($times)" 60 starts $times
        is "as the same user ($times)" "$(task_uid)" "$uid"
    done
}

check_agent_kill() {
    survivors
    old=$(plugin_pid)
    agent_signal KILL
    needs "agent ends" 60 agent_gone
    is "the plugin lives" "$(kill -0 "$old" && echo yes)" yes
    end 1
    agent_start
    back
    is "same plugin" "$(plugin_pid)" "$old"
    survived
    told 1
}

check_plugin_kill() {
    survivors
    old=$(plugin_pid)
    kill -9 "$old"
    end 2
    soon "a new plugin" 60 replaced
    back
    survived
    told 2
}
replaced() { [ -n "$(plugin_pid)" ] && [ "$(plugin_pid)" != "$old" ]; }

check_clean() {
    local jobs
    mapfile -t jobs < <(api jobs | jq -r '.[].ID')
    for job in "${jobs[@]}"; do stop "$job" || failed "stop $job" "$(api "job/$job")"; done
    eventually 60 all_stopped
    api system/gc -X PUT
    soon "no process" 60 no_process
    soon "no cgroup" 60 no_cgroup
    soon "no mount" 60 no_mount
    soon "no record" 30 no_record
}
all_stopped() { ! api allocations | jq -e '.[] | select(.ClientStatus == "running")'; }
left() { find /sys/fs/cgroup/nomad.slice -name '*.scope'; }
no_process() { [ -z "$(left | xargs -I{} cat {}/cgroup.procs)" ]; }
no_cgroup() { [ -z "$(left)" ]; }
no_mount() { ! grep -q /alloc_mounts/ /proc/mounts; }
# Beside them the directory of sockets, which stays.
no_record() { [ -z "$(ls -A /run/nomad-driver-exec2 | grep -vx .sockets)" ]; }
