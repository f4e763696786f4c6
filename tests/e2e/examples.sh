# Sourced by check: tests/examples, the jobs that README shows, each as it stands there.

# shellcheck shell=bash disable=SC2016,SC2034,SC2119,SC2120,SC2154

check_examples() {
    local jobs=/opt/examples said
    mkdir -p /srv/www
    echo "served from the host" >/srv/www/index.html
    install -d -o backup -g backup /srv/backup
    said=$(nomad var put -force nomad/jobs/secrets password=swordfish 2>&1) || failed "var put" "$said"

    example hello hello
    is "hello reads, and is refused" "$(logs stdout hello | xargs)" 'PRETTY_NAME=*refused, as it should be'
    is "hello says why" "$(logs stderr hello)" 'cat: /etc/passwd: Permission denied'

    example batch report
    is "batch counts" "$(logs stdout report | xargs) $(file alloc/data/report | xargs)" '2 192.0.2.1 1 192.0.2.7 2 192.0.2.1 1 192.0.2.7'

    example secrets login
    is "secrets reads its password" "$(logs stdout login)" 'the password has 9 letters'

    example private-view look
    is "private-view has what is unveiled" "$(logs stdout look | grep -c ': there')" 2
    is "private-view has nothing else" "$(logs stdout look | grep -c 'does not exist')" 5
    is "private-view hides a default" "$(logs stdout look | tail -n 1)" '/etc/hosts: 0 bytes'

    submit backup
    said=$(nomad job periodic force -detach backup 2>&1) || failed "backup forced" "$said"
    soon "backup is launched" 60 child_of backup && soon "backup ends" 90 ended
    is "backup is made" "$(status) $(logs stdout backup | xargs) $(stat -c %U /srv/backup/www.tar.gz)" 'complete ./ ./index.html* backup'

    start web-server
    soon "web-server serves" 60 serves "$(port http)" "served from the host"
    stop web-server

    start nginx
    soon "nginx serves" 60 serves "$(port http)" "served by nginx"
    stop nginx

    start python-app
    soon "python-app counts" 60 serves "$(port http)" "visit 1"
    is "python-app goes on" "$(curl -sS --max-time 10 "http://$(port http)/")" "visit 2"
    stop python-app

    start ports
    soon "ports serves" 60 serves "$(port http)" "served on the only port"
    is "ports calls nobody" "$(in_task server busybox wget -q -O - http://127.0.0.1:8080/)" "*ermission denied*"
    stop ports

    start shell
    is "shell is confined" "$(in_task shell sh -c 'cat /etc/passwd; id -u')" "cat: /etc/passwd: Permission denied*[0-9]"
    stop shell

    start limits
    is "limits: processes" "$(cat "$(cgroup limits)/pids.max")" 20
    is "limits: swap" "$(cat "$(cgroup limits)/memory.swap.max")" 0
    is "limits: memory" "$(cat "$(cgroup limits)/memory.max")" 67108864
    is "limits: open files" "$(awk '/^Max open files/ { print $4, $5 }' "/proc/$(main_pid limits)/limits")" '256 1024'
    stop limits
}

# example JOB TASK: runs one that ends by itself, and sees that it does so in order.
example() {
    finish "$1" 120
    is "$1 is complete" "$(status)" complete
}

# child_of JOB: sets $job and $alloc to what a periodic job has launched.
child_of() {
    local child
    child=$(api "jobs?prefix=$1/" | jq -er '.[-1].ID') || return
    job=$child
    submitted+=("$child")
    placed
}
