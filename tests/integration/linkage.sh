# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# Sourced by the consumer tests.

# Whether PROGRAM asks for a shared library whose name begins so: needs PROGRAM NAME
needs() {
    "$READELF" -d "$1" | grep -q "NEEDED.*\\[$2"
}

# Fail unless PROGRAM has libouro in the way that KIND says, and each adapter with its libraries only
# if it is the one that uses them, in the same way: check_linkage KIND PROGRAM
check_linkage() {
    linked=static
    ! needs "$2" 'libouro\.so\.0\.1\]' || linked=shared
    if [ "$linked" != "$1" ]; then
        echo "$2 has a $linked libouro, expected was $1" >&2
        return 1
    fi

    check_adapter "$1" "$2" pg pq && check_adapter "$1" "$2" http curl &&
        check_adapter "$1" "$2" http jansson
}

# The same for one adapter, and a library of which it is known: KIND PROGRAM ADAPTER LIBRARY
# What a shared adapter needs is its own affair.
check_adapter() {
    adapter=no
    ! needs "$2" "libouro_$3\\.so\\.0\\.1\\]" || adapter=shared
    ! needs "$2" "lib$4\\.so" || adapter=static
    wanted=no
    case $2 in
    */consumer_"$3") wanted=$1 ;;
    esac
    if [ "$adapter" != "$wanted" ]; then
        echo "$2 has ouro_$3 with lib$4: $adapter, expected was $wanted" >&2
        return 1
    fi
}
