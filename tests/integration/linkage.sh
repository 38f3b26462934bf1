# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# Sourced by the consumer tests.

# Whether PROGRAM asks for a shared library whose name begins so: needs PROGRAM NAME
needs() {
    "$READELF" -d "$1" | grep -q "NEEDED.*\\[$2"
}

# Fail unless PROGRAM has libouro in the way that KIND says, and libpq and its adapter only if it
# is the one that uses them, in the same way: check_linkage KIND PROGRAM
check_linkage() {
    linked=static
    ! needs "$2" 'libouro\.so\.0\.1\]' || linked=shared
    if [ "$linked" != "$1" ]; then
        echo "$2 has a $linked libouro, expected was $1" >&2
        return 1
    fi

    # What a shared ouro_pg needs is its own affair.
    adapter=no
    ! needs "$2" 'libouro_pg\.so\.0\.1\]' || adapter=shared
    ! needs "$2" 'libpq\.so' || adapter=static
    wanted=no
    case $2 in
    */consumer_pg) wanted=$1 ;;
    esac
    if [ "$adapter" != "$wanted" ]; then
        echo "$2 has ouro_pg: $adapter, expected was $wanted" >&2
        return 1
    fi
}
