# Sourced by check: programs that people run. Each can be checked with a view of its own (check).

# shellcheck shell=bash disable=SC2016,SC2034,SC2119,SC2120,SC2154

check_java() {
    finish java 200
    is "complete" "$(status)" complete
    # The settings are said on either, by the version of Java.
    said=$(logs; logs stderr)
    setting() { sed -n "s/^ *$1: //p" <<<"$said"; }
    is "the memory limit" "$(setting 'Memory Limit')" '400.00M*'
    is "the CPU limit, of two" "$(setting 'Effective CPU Count')" 1
    is "as the program sees it" "$(setting processors)" 1
    is "a heap that fits" "$(setting heap)" '1[0-9][0-9] MiB at most'
}

check_python() {
    finish python
    is "complete" "$(status)" complete
    is "in its environment" "$(logs | grep prefix)" "prefix: */local/venv"
    is "which is not the system's" "$(logs | grep 'of its own')" '*True'
    is "confined" "$(logs | tail -n 1)" "$(absent) /etc/passwd"
}
# absent: what becomes of a path that is not unveiled.
absent() { if [ "$view" = private ]; then echo missing:; else echo denied:; fi; }

check_static_web() {
    mkdir -p /srv/www
    echo "served from the host" >/srv/www/index.html
    ln -sf /etc/passwd /srv/www/link
    start static-web
    soon "served" 60 serves "$(port http)" "served from the host"
    is "a link out of it is not followed" "$(fetched link)" 404
    is "which anybody else could read" "$(setpriv --reuid "$(stat -c %u "/proc/$(main_pid)")" --clear-groups head -n 1 /srv/www/link)" 'root:*'
    is "not written" "$(inside sh -c 'echo more >>/srv/www/index.html' 2>&1) $(cat /srv/www/index.html)" '*/srv/www/index.html: * served from the host'
}
fetched() { curl -sS --max-time 10 -o /dev/null -w '%{http_code}' "http://$(port http)/$1"; }

check_nginx() {
    group=capable start nginx
    group=capable
    soon "served on port 80" 30 serves 127.0.0.1:80 "served by nginx"
    is "all its processes are www-data's" "$(pids | tail -n +2 | xargs -I{} stat -c %U /proc/{} | sort -u)" www-data
    soon "its log is the task's" 10 logged '"GET / HTTP/1.1" 200'
    group=bare
    needs "without the capability it fails" 60 failed_
    is "and says why" "$(logs stderr)" '*bind() to 127.0.0.1:81 failed (13: Permission denied)*'
    group=capable
    placed
    said=$(nomad job stop -detach nginx 2>&1) || failed "job stop" "$said"
    needs "ended" 60 all_dead
    is "by itself" "$(exits)" 0/0
}

check_postgres() {
    submit postgres
    needs "initialised, and runs" 150 serving
    needs "queried by another task" 60 logged 'earth 1, mars 2' stdout client
    is "by its own user" "$(stat -c %U "/proc/$(main_pid)")" postgres
    is "and over TCP" "$(in_task main /usr/lib/postgresql/17/bin/psql -XAt "postgresql://postgres@$(port sql)/postgres" \
        -c 'SELECT sum(moons) FROM planet')" 3
    said=$(nomad job stop -detach postgres 2>&1) || failed "job stop" "$said"
    needs "ended" 60 all_dead
    is "in order" "$(exits) $(logs stderr | grep -c 'database system is shut down')" '0/0 [1-9]'
}
serving() { placed && [ "$(task .State)" = running ]; }

check_redis() {
    start redis
    needs "answers" 30 answers PONG ping
    is "SET" "$(redis set planet earth)" OK
    is "GET" "$(redis get planet)" earth
    timeout 90 nomad alloc restart "$alloc" >/dev/null || failed "alloc restart" "exit status $?"
    needs "started again" 60 restarted_by_hand
    soon "kept" 30 answers earth get planet
    is "in the task's directory" "$(file main/local/dump.rdb | head -c 5)" REDIS
}
redis() { inside redis-cli -p "$(port redis | cut -d: -f2)" "$@" 2>&1; }
answers() { redis "${@:2}" | grep -qx "$1"; }
# A restart that is asked for is not counted.
restarted_by_hand() { [ "$(exits)" = 0/0 ] && [ "$(task .State)" = running ]; }

check_pipeline() {
    group=report finish pipeline
    group=report
    is "output" "$(logs | head -n 2 | xargs)" '192.0.2.1: 3 192.0.2.7: 2'
    is "the last command's exit status" "$(logs | tail -n 1) $(exits)" 'not noticed 0/0'
    group=pipefail
    needs "with pipefail it fails" 60 failed_
    is "with the first's" "$(logs) $(exits)" 'some 3/0'
}

check_cron() {
    local said
    submit cron
    is "waits for its time" "$(api job/cron | jq -r '"\(.Status) \(.Periodic.Enabled)"') $(api job/cron/allocations)" 'running true \[\]'
    said=$(nomad job periodic force -detach cron 2>&1) || failed "forced" "$said"
    needs "launched" 30 launched
    needs "ends" 60 ended
    is "complete" "$(status)" complete
    is "output" "$(logs | xargs)" 'cron/periodic-[0-9]* 20[0-9][0-9]'
    is "one launch" "$(api 'jobs?prefix=cron/' | jq length)" 1
}
# launched: sets $job to the cron job's newest child.
launched() {
    local child
    child=$(api 'jobs?prefix=cron/' | jq -er '.[-1].ID') || return
    job=$child
    submitted+=("$child")
}
