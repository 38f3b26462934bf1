#!/bin/sh
# SPDX-License-Identifier: MIT
# "hello" from ouro_http beside nginx's `return 200`: one worker each on the same processor, wrk on
# another, rounds in turn. Prints requests a second, processor time a request, and their ratios.
#   run.sh SERVER_OURO [ROUNDS [SECONDS [CONNECTIONS...]]]
set -eu

server=$1
rounds=${2-5}
seconds=${3-3}
connections="50 500"
if [ $# -gt 3 ]; then
    shift 3
    connections=$*
fi
for tool in wrk nginx taskset; do
    command -v $tool >/dev/null || { echo "$tool is missing" >&2; exit 77; }
done

folder=$(mktemp -d)
pids=
finish() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null || :
    done
    rm -rf "$folder"
}
trap finish EXIT INT TERM

cat >"$folder/nginx.conf" <<EOF
daemon off;
master_process off;
pid $folder/pid;
error_log $folder/error.log crit;
events { worker_connections 2048; }
http {
    access_log off;
    keepalive_requests 100000000;
    default_type text/plain;
    client_body_temp_path $folder; proxy_temp_path $folder; fastcgi_temp_path $folder;
    uwsgi_temp_path $folder; scgi_temp_path $folder;
    server { listen 127.0.0.1:18081; location / { return 200 "hello world\n"; } }
}
EOF
taskset -c 0 nginx -e "$folder/error.log" -c "$folder/nginx.conf" -p "$folder" &
nginx_pid=$!
pids=$nginx_pid
taskset -c 0 "$server" 18080 &
ouro_pid=$!
pids="$pids $ouro_pid"
sleep 0.5

ticks() { # PID: processor time so far, in ticks
    sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'
}

round() { # PID PORT CONNECTIONS: "requests/s microseconds"
    before=$(ticks "$1")
    taskset -c 1 wrk -t1 -c"$3" -d"${seconds}s" "http://127.0.0.1:$2/" >"$folder/wrk"
    after=$(ticks "$1")
    hz=$(getconf CLK_TCK)
    awk -v t=$((after - before)) -v hz="$hz" '
        /requests in/ { n = $1 }
        /Requests\/sec/ { rate = $2 }
        /Socket errors|Non-2xx/ { print > "/dev/stderr" }
        END { printf "%.0f %.2f\n", rate, t / hz * 1e6 / n }' "$folder/wrk"
}

middle() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for c in $connections; do
    i=0
    : >"$folder/ouro"
    : >"$folder/nginx"
    while [ $i -lt "$rounds" ]; do
        round "$ouro_pid" 18080 "$c" >>"$folder/ouro"
        round "$nginx_pid" 18081 "$c" >>"$folder/nginx"
        i=$((i + 1))
    done
    for who in ouro nginx; do
        printf '%-6s %4s connections  %8s requests/s  %6s us a request\n' $who "$c" \
            "$(cut -d' ' -f1 "$folder/$who" | middle)" "$(cut -d' ' -f2 "$folder/$who" | middle)"
    done
    paste -d' ' "$folder/ouro" "$folder/nginx" |
        awk '{ print $1 / $3 }' | middle | sed "s/^/ratio of requests\/s, $c connections: /"
done
