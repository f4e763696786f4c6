# Sourced by check: what the options of a task do, seen from outside.

# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154

# proc FILE FIELD [TASK]: a line of the command's /proc/<pid>/FILE, without its name.
proc() { sed -n "s/^$2[: \t]*//p" "/proc/$(main_pid "${3:-main}")/$1" | tr -s ' \t' ' '; }
# owner FILE: user and group of a file in the task's local directory.
owner() { stat -c %u:%g "/var/lib/nomad/data/alloc/$alloc/main/local/$1"; }
in_group() { group=$1; placed; }

check_capabilities() {
    local set
    group=some start capabilities
    for set in CapInh CapPrm CapEff CapBnd CapAmb; do
        is "$set is chown" "$(proc status $set)" 0000000000000001
    done
    is "an ordinary user" "$(stat -c %u "/proc/$(main_pid)")" '8[0-9]*'
    soon "gives a file away" 30 given
    in_group none
    needs "runs" 60 running
    is "none by default" "$(proc status CapEff)" 0000000000000000
    is "gives none away" "$(owner mine)" '8[0-9]*'
    in_group too-many
    needs "fails" 60 failed_
    is "an event says why" "$(events | grep allow_caps)" '*sys_admin*'
}
given() { [ "$(stat -c %U "/var/lib/nomad/data/alloc/$alloc/main/local/mine")" = games ]; }

check_ulimit() {
    start ulimit
    is "nofile" "$(proc limits 'Max open files')" '64 128 files*'
    is "core" "$(proc limits 'Max core file size')" '0 0 bytes*'
    is "cpu" "$(proc limits 'Max cpu time')" 'unlimited unlimited seconds*'
    is "alloc exec" "$(inside sh -c 'ulimit -Sn; ulimit -Hn' | xargs)" '64 128'
}

check_pids() {
    start pids
    is "pids.max" "$(knob pids.max)" 8
    soon "no more fit" 30 full
    is "no more are" "$(knob pids.current)" 8
    soon "and it is told" 30 logged 'Resource temporarily unavailable' stderr
}
full() { knob pids.events | grep -q 'max [1-9]'; }

check_limits() {
    start limits
    is "memory.swap.max" "$(knob memory.swap.max)" 67108864
    is "memory.oom.group" "$(knob memory.oom.group)" 1
    is "cpu.max" "$(knob cpu.max)" 'max 100000'
    is "cpu.weight" "$(knob cpu.weight)" 100
}

check_oom_group() {
    group=one finish oom-group
    is "one process: the shell goes on" "$(status) $(exits)" 'complete 0/0'
    is "and learns of it" "$(logs)" 'hog ended with 137'
    in_group whole
    needs "the whole task fails" 120 failed_
    is "killed" "$(exits)" 137/9
    is "the shell with it" "$(logs)" ''
}

check_groups() {
    install -m 640 -g adm /dev/stdin /var/log/adm-only <<<'for the group'
    start groups
    is "primary" "$(proc status Gid)" '50 50 50 50'
    is "supplementary" "$(proc status Groups | xargs -n1 | sort -n | xargs)" '4 5*'
    soon "reads what is the group's" 30 logged 'for the group'
    is "writes as its group" "$(owner mine)" 5:50
    soon "without it, not" 30 logged 'Permission denied' stderr without
    is "the user's own" "$(proc status Gid without)" '60 60 60 60'
}

check_pid_mode() {
    local kind
    start pid-mode
    for kind in pid ipc; do
        is "the host's $kind namespace" "$(ns "$(main_pid)" $kind)" "$(ns self $kind)"
        is "one of its own" "$([ "$(ns "$(main_pid private)" $kind)" != "$(ns self $kind)" ] && echo yes)" yes
    done
    is "its number is the host's" "$(proc status NSpid)" "$(main_pid)"
    is "of /proc its own processes alone" "$(in_task main sh -c 'cat /proc/[0-9]*/comm' | grep -v '^cat' | sort -u | xargs)" 'sh sleep'
    is "not the host's" "$(in_task main cat "/proc/$$/comm")" "cat: /proc/$$/comm: *"
}

# ns PROCESS KIND: its namespace's number.
ns() { stat -Lc %i "/proc/$1/ns/$2"; }

check_ports() {
    if [ "$(nomad node status -self -verbose | tr -s ' ' | sed -n 's/^driver\.exec2\.landlock\.abi = //p')" -lt 4 ]; then
        skipped "Landlock knows no ports before ABI 4"
        return
    fi
    start ports
    soon "served" 30 serves 127.0.0.1:8080 "served on the only port"
    is "no other port" "$(in_task server busybox httpd -f -p 127.0.0.1:8081)" '*Permission denied*'
    is "no connection" "$(in_task server busybox wget -qO- http://127.0.0.1:8080/)" '*Permission denied*'
    is "a connection to the port" "$(in_task client busybox wget -qO- http://127.0.0.1:8080/)" 'served on the only port'
    is "to no other" "$(in_task client busybox wget -qO- http://127.0.0.1:4646/)" '*Permission denied*'
    is "no port at all" "$(in_task client busybox httpd -f -p 127.0.0.1:8081)" '*Permission denied*'
}

check_kill_mode() {
    start kill-mode
    needs "ready" 30 logged ready stdout all
    needs "and the other" 30 logged ready stdout one
    nomad job stop -detach kill-mode >/dev/null 2>&1
    needs "ended" 60 all_dead
    is "group: everyone is told" "$(logs stdout all | sort | xargs)" 'child parent ready'
    is "main: the command is" "$(logs stdout one | sort | xargs)" 'parent ready'
    is "both end by themselves" "$(exits all) $(exits one)" '0/0 0/0'
}

# says_found JOB [GROUP]: the task is seen to do what its job is about.
says_found() {
    group=${2:-group} start "$1"
    soon "said" 30 logged found
}
check_work_dir_outside() {
    says_found work-dir-outside
    is "where it is" "$(readlink "/proc/$(main_pid)/cwd")" /var/tmp
}
check_relative() {
    says_found relative
    is "where it is" "$(readlink "/proc/$(main_pid)/cwd")" "/var/lib/nomad/alloc_mounts/$alloc-main"
}
check_local_command() {
    says_found local-command path
    in_group name
    soon "and by its name" 30 logged found
}
check_secrets() { says_found secrets; }
check_cap_drop() {
    start cap-drop
    is "chown alone" "$(proc status CapEff)" 0000000000000001
}
check_unveil_words() {
    says_found unveil-words
    is "nothing left" "$(find /tmp -maxdepth 1 -name "$alloc")" ''
}
check_veil() {
    says_found veil
    is "nothing else" "$(logs | xargs)" found
    is "alloc exec" "$(inside sh -c 'ls "$NOMAD_SECRETS_DIR"; cat /etc/hosts')" ''
}
check_environment() {
    start environment
    soon "the job's own" 30 logged LD_LIBRARY_PATH=/of/the/job
    is "empty" "$(logs | grep '^EMPTY=')" EMPTY=
    is "NOMAD_WORK_DIR" "$(logs | grep '^NOMAD_WORK_DIR=')" "NOMAD_WORK_DIR=/var/lib/nomad/alloc_mounts/$alloc-main/local"
}
check_throttled() {
    group=ceiling start throttled
    soon "ready" 60 logged ready
    nomad alloc stop -detach "$alloc" >/dev/null
    soon "the event says why" 60 throttled_told
}
throttled_told() { events | grep -q 'throttled for [0-9]* of [0-9]* ms (cpu.max)'; }
check_work_dir() {
    local dir
    start work-dir
    dir=/var/lib/nomad/alloc_mounts/$alloc-main/local/app
    soon "said" 30 logged found
    is "where it is, and NOMAD_WORK_DIR" "$(logs | xargs)" "$dir $dir found"
    is "from outside" "$(readlink "/proc/$(main_pid)/cwd")" "$dir"
    is "alloc exec" "$(inside pwd)" "$dir"
}

check_protect_system() {
    local mode
    for mode in strict off; do
        install -m 644 /dev/stdin /srv/$mode <<<'as it was'
    done
    finish protect-system
    is "strict: the mode stays" "$(stat -c %a /srv/strict)" 644
    is "and why" "$(logs stderr strict)" '*chmod*Read-only file system*'
    is "off: root changes it" "$(stat -c %a /srv/off)" 600
    is "nobody writes" "$(cat /srv/strict /srv/off | xargs)" 'as it was as it was'
    is "off: which Landlock denies" "$(logs stderr off)" '*Permission denied*'
}

check_denied_envvars() {
    finish denied-envvars
    is "denied" "$(logs | grep -cE '^(API_TOKEN|NOMAD_META_)')" 0
    is "kept" "$(logs | grep -E '^(TOKENS|NOMAD_TASK_NAME)=' | sort | xargs)" 'NOMAD_TASK_NAME=main TOKENS=kept'
}

check_volume() {
    finish volume
    is "ended well" "$(exits writer) $(exits)" '0/0 0/0'
    is "a program of the volume runs, and nothing is written" "$(logs | xargs)" 'said by a program of the volume read-only'
    is "it is the host's" "$(stat -c %U /srv/data/program)" games
    [ ! -e /srv/data/new ] || failed "nothing new on the host" "$(ls /srv/data)"
    rm -f /srv/data/program
}

check_dns() {
    finish dns
    is "resolv.conf" "$(logs | grep -v '^#' | xargs)" '*search service.test*nameserver 192.0.2.53*'
    is "the host's is as it was" "$(grep -c 192.0.2.53 /etc/resolv.conf)" 0
}

check_chroot() {
    local path
    finish chroot
    is "ended well" "$(exits)" 0/0
    for path in /local /alloc/data /tmp /dev/shm; do
        is "$path" "$(logs | grep "^$path:")" "$path: writable"
    done
    is "/secrets" "$(logs | grep "^/secrets:")" "/secrets: there"
    for path in /root /etc/passwd /var/lib/nomad/data/client; do
        is "$path" "$(logs | grep "^$path:")" "$path: No such file or directory"
    done
    is "a terminal" "$(logs | grep "^terminal:")" "terminal: /dev/pts/0"
    is "the rest" "$(logs | tail -n 3 | xargs)" 'os-release: read processes: * Read-only file system'
}
