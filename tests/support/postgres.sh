#!/bin/sh
# SPDX-License-Identifier: MIT
# Private PostgreSQL servers, for tests, samples and the demo.
#
#   postgres.sh start DIR [--tls] [--like=OTHER] [--owner PID | --limit SECONDS]
#   postgres.sh halt DIR [MODE]        the server ends, its data stays; MODE of pg_ctl: immediate
#   postgres.sh restart DIR [MODE]     ends, if it runs, and begins again, at the same port
#   postgres.sh stop DIR               the server ends, and all of it is removed
#   postgres.sh programs               where the server's programs are
#
# start prints how to connect, and leaves in DIR
#   conninfo       the same: as the superuser, without a password
#   conninfo.tls   with --tls: as the user app, by TLS and SCRAM, the server's certificate verified
#   environment    the first as PG* variables, for the shell
# What was in DIR of an earlier run is stopped and removed first, however that run ended. --like
# copies new and empty data from OTHER, where start was used before: faster than to make them.
#
# The server does not outlive process PID (the word "parent": who called this script); without an
# owner, so many seconds: an hour, if nothing is said.
#
# Exit status 77: there is no PostgreSQL on this machine. Root has the server run as nobody, since
# it refuses to run as root. So its files are not in DIR, which nobody may be unable to enter, but
# in a folder of their own under $TMPDIR, whose name DIR/home holds. That name is short, too: the
# path of a unix socket has room for 107 bytes.
set -eu

say() {
    printf '%s\n' "postgres.sh: $*" >&2
}

die() {
    say "$*"
    exit 1
}

skip() {
    say "$*"
    exit 77
}

# Print the folder with the server's programs: of the newest version there is, else of the path's.
programs() {
    for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) \
        "$(dirname "$(command -v initdb || echo /nowhere/initdb)")"; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && [ -x "$folder/pg_ctl" ]; then
            echo "$folder"
            return
        fi
    done
    skip "no PostgreSQL server here (package postgresql)"
}

# Run a command of the server's, with nothing of our environment but a few words, and of our
# identity what it may have.
served() {
    as=
    if [ "$(id -u)" -eq 0 ]; then
        as="setpriv --reuid=nobody --regid=$(id -g nobody) --clear-groups"
    fi
    # The command is words.
    # shellcheck disable=SC2086
    (cd "$home" && exec $as env -i "PATH=$bin:/usr/bin:/bin" LC_ALL=C TZ=UTC "$@")
}

# ---- What is there already -----------------------------------------------------------------------

# Set home to the server's folder: find_home DIR. Only a name that start gives is believed, since
# that folder will be removed.
find_home() {
    home=
    [ -f "$1/home" ] || return 1
    read -r home <"$1/home" || :
    case $home in
    /*/ouro-pg.?????? | /ouro-pg.??????) [ -d "$home" ] ;;
    *) return 1 ;;
    esac
}

# Whether process PID is the server of $home, and not another that got its number.
is_server() { # PID
    tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF -- "-D $home/data"
}

server_pid() {
    pid=
    [ ! -f "$home/data/postmaster.pid" ] || read -r pid <"$home/data/postmaster.pid" || :
    case $pid in
    '' | *[!0-9]*) return 1 ;;
    esac
    is_server "$pid"
}

# End the server of $home, if it runs. A pid file that somebody else's process seems to hold would
# keep it from beginning again.
halt() { # [MODE]
    if server_pid; then
        served "$bin/pg_ctl" -D "$home/data" -m "${1:-immediate}" -t 20 -w stop >/dev/null ||
            kill -KILL "$pid" 2>/dev/null || :
    fi
    server_pid || rm -f "$home/data/postmaster.pid"
}

# Remove what start has made: remove DIR
remove() {
    if find_home "$1"; then
        halt
        rm -rf "$home"
    fi
    rm -f "$1/home" "$1/conninfo" "$1/conninfo.tls" "$1/environment"
    rmdir "$1" 2>/dev/null || :
}

# ---- Making one ----------------------------------------------------------------------------------

# Empty data, as every server here begins with: in $home/empty. The single-user server takes one
# command a line.
make_data() {
    served "$bin/initdb" -D "$home/empty" -U ouro -A trust -E UTF8 --no-locale --no-sync \
        --no-instructions >"$home/initdb.log" 2>&1 || {
        cat "$home/initdb.log" >&2
        die "initdb failed"
    }
    served "$bin/postgres" --single -D "$home/empty" -F postgres >>"$home/initdb.log" 2>&1 <<'END'
CREATE ROLE app LOGIN PASSWORD 'secret'
GRANT CREATE ON SCHEMA public TO app
END
    # Nothing is worth a wait for the disk: these data are made to be thrown away.
    cat >>"$home/empty/postgresql.conf" <<'END'
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
shared_buffers = 32MB
max_connections = 100
wal_level = minimal
max_wal_senders = 0
END
}

make_certificate() {
    command -v openssl >/dev/null || skip "no openssl here, to make a certificate with"
    served openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$home/server.key" -out "$home/server.crt" 2>"$home/openssl.log" || {
        cat "$home/openssl.log" >&2
        die "openssl made no certificate"
    }
    served chmod 600 "$home/server.key"
}

# Who may come in: the superuser always; with TLS, app as well, by its password.
configure() { # TLS
    {
        echo "local all ouro trust"
        echo "host all ouro 127.0.0.1/32 trust"
        [ "$1" = no ] || echo "hostssl all app 127.0.0.1/32 scram-sha-256"
    } >"$home/data/pg_hba.conf"
    {
        echo "unix_socket_directories = '$home'"
        [ "$1" = no ] || printf "ssl = on\nssl_cert_file = '%s'\nssl_key_file = '%s'\n" \
            "$home/server.crt" "$home/server.key"
    } >>"$home/data/postgresql.conf"
}

# Print a number for a port, below those that the kernel gives to clients.
some_port() {
    echo $(($(od -An -N2 -tu2 /dev/urandom) % 12000 + 20000))
}

begin() { # PORT
    : >"$home/log"
    [ "$(id -u)" -ne 0 ] || chown nobody "$home/log"
    served "$bin/pg_ctl" -D "$home/data" -o "-p $1" -l "$home/log" -t 20 -w start \
        >/dev/null 2>&1 </dev/null
}

# The port may be taken, and by somebody who took it between a look and now: so there is no look.
begin_somewhere() {
    tries=10
    while port=$(some_port) && ! begin "$port"; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! grep -q 'Address already in use' "$home/log"; then
            cat "$home/log" >&2
            die "the server does not start"
        fi
    done
    echo "$port" >"$home/port"
}

tell() { # DIR TLS
    echo "host=127.0.0.1 port=$port user=ouro dbname=postgres" >"$1/conninfo"
    printf 'PGHOST=127.0.0.1\nPGPORT=%s\nPGUSER=ouro\nPGDATABASE=postgres\n' "$port" \
        >"$1/environment"
    [ "$2" = no ] || echo "host=127.0.0.1 port=$port user=app password=secret dbname=postgres" \
        "sslmode=verify-full sslrootcert=$home/server.crt" >"$1/conninfo.tls"
    cat "$1/conninfo"
}

# ---- Its end -------------------------------------------------------------------------------------

# When process PID began: a number that is in use again is another process.
birth() { # PID
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# Wait for the owner's end, or for so long, and stop the server then, unless that was done before.
watch() { # DIR OWNER SECONDS
    born=
    [ -z "$2" ] || born=$(birth "$2")
    left=$3
    while [ -d "$home" ]; do
        if [ -z "$2" ]; then
            [ "$left" -gt 0 ] || break
            left=$((left - 1))
        elif [ -z "$born" ] || [ "$(birth "$2")" != "$born" ]; then
            break
        fi
        sleep 1
    done
    watched=$home
    # Somebody may have started another in DIR meanwhile.
    if find_home "$1" && [ "$home" = "$watched" ]; then
        remove "$1"
    else
        home=$watched
        [ ! -d "$home" ] || halt
        rm -rf "$home"
    fi
}

# ---- The commands --------------------------------------------------------------------------------

start() {
    tls=no
    like=
    owner=
    limit=3600
    dir=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --tls) tls=yes ;;
        --like=*) like=${1#*=} ;;
        --owner) owner=$2 && shift ;;
        --limit) limit=$2 && shift ;;
        *) die "start takes no $1" ;;
        esac
        shift
    done
    [ "$owner" != parent ] || owner=$PPID

    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    remove "$dir"
    other=
    [ -z "$like" ] || ! find_home "$like" || other=$home/empty
    home=$(mktemp -d "${TMPDIR:-/tmp}/ouro-pg.XXXXXX")
    mkdir -p "$dir"
    echo "$home" >"$dir/home"
    trap 'remove "$dir"' EXIT
    trap 'exit 1' HUP INT TERM
    [ "$(id -u)" -ne 0 ] || chown nobody "$home"
    # From the first moment, in case that we are killed. In a session of its own and with none of
    # our descriptors, or who reads what we print would wait for it.
    setsid sh "$0" watch "$dir" "$owner" "$limit" >/dev/null 2>&1 </dev/null &

    if [ -d "$other" ]; then
        served cp -a "$other" "$home/empty"
    else
        make_data
    fi
    served cp -a "$home/empty" "$home/data"
    [ "$tls" = no ] || make_certificate
    configure "$tls"
    begin_somewhere
    tell "$dir" "$tls"
    trap - EXIT HUP INT TERM
}

usage() {
    sed -n '/^#   postgres.sh/s/^#   /  /p' "$0" >&2
    exit 2
}

bin=$(programs) || exit
case ${1-} in
programs) echo "$bin" ;;
start)
    [ $# -ge 2 ] || usage
    shift
    start "$@"
    ;;
stop)
    [ $# -eq 2 ] || usage
    [ ! -d "$2" ] || remove "$2"
    ;;
halt | restart)
    [ $# -ge 2 ] || usage
    find_home "$2" || die "$2 has no server"
    halt "${3-}"
    [ "$1" = halt ] || begin "$(cat "$home/port")" || {
        cat "$home/log" >&2
        die "the server does not start again"
    }
    ;;
watch)
    ! find_home "$2" || watch "$2" "$3" "$4"
    ;;
*) usage ;;
esac
