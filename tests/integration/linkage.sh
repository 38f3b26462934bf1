# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# Sourced by the consumer tests.

# Fail unless PROGRAM has libouro in the way that KIND says: check_linkage KIND PROGRAM
check_linkage() {
    linked=static
    if "$READELF" -d "$2" | grep -q 'NEEDED.*libouro\.so\.0\.1'; then
        linked=shared
    fi
    if [ "$linked" != "$1" ]; then
        echo "$2 has a $linked libouro, expected was $1" >&2
        return 1
    fi
}
