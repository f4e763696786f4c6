# Sourced in the guest: the agent, its API, and how a check says what it found.

# shellcheck shell=bash disable=SC2119,SC2120  # arguments that may be left out
export NOMAD_ADDR=http://127.0.0.1:4646 NOMAD_CLI_SHOW_HINTS=0
agent_log=/var/log/nomad
agent_pid=/run/nomad.pid
check=${check:-guest}

passed() { echo "passed: $check: $*"; }
failed() { echo "failed: $check: $1: $(tr '\n' ' ' <<<"$2" | cut -c1-600)"; }
skipped() { echo "skipped: $check: $*"; }

# is WHAT VALUE PATTERN: passes if the value matches the pattern (of the shell).
is() {
    # shellcheck disable=SC2254  # it is a pattern
    case $2 in
        $3) passed "$1" ;;
        *) failed "$1" "'$2' instead of '$3'" ;;
    esac
}

# eventually SECONDS COMMAND...: repeats a command until it succeeds.
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.5
    done
}

# soon WHAT SECONDS COMMAND...: passes when the command succeeds within the time; fails with what `why` says.
soon() {
    local what=$1 seconds=$2
    shift 2
    if eventually "$seconds" "$@"; then
        passed "$what"
    else
        failed "$what" "not within $seconds s: $(why)"
        return 1
    fi
}

# needs: as `soon`, for what the rest of the check rests on.
needs() { soon "$@" || exit 0; }

# As under the unit file that Nomad comes with: a session of its own, SIGPIPE ignored as systemd does, and never the OOM killer's choice.
agent_start() {
    (
        ulimit -n 65536
        echo -1000 >/proc/self/oom_score_adj
        exec setsid env --default-signal --ignore-signal=PIPE nomad agent -config "${1:-/opt/e2e/agent.hcl}" </dev/null >>"$agent_log" 2>&1
    ) &
    echo $! >"$agent_pid"
}

agent_signal() { kill "-$1" "$(cat "$agent_pid")"; }
# An ended process that nobody waits for yet is a zombie.
agent_gone() { ! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$(cat "$agent_pid")/status" 2>/dev/null; }

# Has a leader, and its client is ready with the driver healthy.
agent_ready() { api agent/health && api nodes | jq -e '.[0] | .Status == "ready" and .Drivers.exec2.Healthy'; }

agent_logs() {
    mkdir -p /out
    gzip -c "$agent_log" >/out/agent.log.gz
    cp /var/log/consul /out/consul.log
}

plugin_pid() { pgrep -nfx /opt/nomad/plugins/nomad-driver-exec2; }

# api PATH [CURL OPTION...]
api() { curl -sS --fail --max-time 30 "$NOMAD_ADDR/v1/$1" "${@:2}"; }

# submit JOB: hands it in, of the directory $jobs, with the check's view if it has one. Sets $job. It is stopped when the check ends, unless the check takes it off
# the list.
submitted=()
submit() {
    local said
    job=$1 alloc=
    submitted+=("$job")
    said=$(nomad job run -detach ${view:+-var "view=$view"} "${jobs:-/opt/jobs}/$job.hcl" 2>&1) || { failed "submitted" "$said"; exit 0; }
}

# placed [INDEX]: sets $alloc to the job's newest allocation, or to that of $group.
placed() {
    local newest
    newest=$(api "job/$job/allocations" | jq -er --arg group "${group:-}" \
        "[.[] | select((.Name | endswith(\"[${1:-0}]\")) and (\$group == \"\" or .TaskGroup == \$group))] | max_by(.CreateIndex).ID") && alloc=$newest
}

# start JOB: submits it, and waits until all its tasks run.
start() {
    submit "$1"
    needs "runs" 60 running
}
running() { placed && [ "$(allocation | jq -r '[.TaskStates[]?.State] | unique | join(" ")')" = running ]; }

# finish JOB [SECONDS]: submits it, and waits until it has ended.
finish() {
    submit "$1"
    needs "ends" "${2:-90}" ended
}
ended() { placed && allocation | jq -e '.ClientStatus | . == "complete" or . == "failed"'; }

allocation() { api "allocation/$alloc"; }
status() { allocation | jq -r .ClientStatus; }

# task FILTER [TASK]: from the task's state.
task() { allocation | jq -r ".TaskStates.\"${2:-main}\" | $1"; }
events() { task '.Events[].DisplayMessage' "$@"; }

# exits [TASK]: code and signal of each end of the task.
exits() { task '[.Events[] | select(.Type == "Terminated") | "\(.ExitCode)/\(.Signal)"] | join(" ")' "$@"; }

# logs [stdout|stderr] [TASK]
logs() { api "client/fs/logs/$alloc?task=${2:-main}&type=${1:-stdout}&plain=true"; }
logged() { logs "${@:2}" | grep -q -- "$1"; }

# file PATH: of the allocation, such as main/local/word.
file() { api "client/fs/cat/$alloc?path=$1"; }

# cgroup [TASK]: its directory, where Nomad puts it.
cgroup() {
    local scope
    for scope in /sys/fs/cgroup/nomad.slice/{share,reserve}.slice/"$alloc.${1:-main}.scope"; do
        [ ! -d "$scope" ] || echo "$scope"
    done
}
knob() { cat "$(cgroup)/$1"; }

# pids [TASK]: its processes, as the host numbers them.
pids() { sort -n "$(cgroup "$@")/cgroup.procs"; }

# main_pid [TASK]: the command's. Init is the first, and what it started comes second.
main_pid() { pids "$@" | sed -n 2p; }

# inside COMMAND...: `nomad alloc exec` without a terminal.
inside() { timeout 60 nomad alloc exec -t=false "$alloc" "$@"; }

# in_task TASK COMMAND...: the same where there are several, with what it says on either output.
in_task() { timeout 60 nomad alloc exec -t=false -task "$1" "$alloc" "${@:2}" 2>&1; }

stop() { api "job/$1?purge=true" -X DELETE >/dev/null; }

# why: the reason that something that was waited for did not happen, as far as Nomad knows.
why() {
    if [ -n "${alloc:-}" ]; then
        allocation | jq -r '.ClientStatus, (.TaskStates | to_entries[]? | .key as $task | .value.Events[-4:][]? | "[\($task)] \(.DisplayMessage)")'
    elif [ -n "${job:-}" ]; then
        api "job/$job/evaluations" | jq -r '.[].FailedTGAllocs | select(. != null) | map_values({ConstraintFiltered, DimensionExhausted, NodesEvaluated}) | tojson'
    fi 2>&1
}
