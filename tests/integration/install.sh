#!/bin/sh
# SPDX-License-Identifier: MIT
# Build and install: install.sh shared|static|both|bare SOURCE PACKAGE
# Both are the first two in one tree. Bare is a static one without any adapter that is a library of
# its own, made where there is nothing but liburing.
# The tree is installed in one place and moved to PACKAGE/KIND, so that whatever remembers where it
# was built or installed breaks the tests that follow.
set -eu

kind=$1
source=$2
package=$3

install_from() { # BUILD
    "$CMAKE" --install "$1" --prefix "$package/$kind.installed"
}

build=$package/build-$kind
configure() { # ARGUMENT...
    "$CMAKE" -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release \
        -DOURO_TESTS=OFF -DOURO_SAMPLES=OFF -DOURO_BENCH=OFF "$@"
}

rm -rf "${package:?}/$kind" "$package/$kind.installed"
case $kind in
shared | static)
    shared=OFF
    [ "$kind" = static ] || shared=ON
    configure -DBUILD_SHARED_LIBS=$shared "-DOURO_PG=$WITH_PG" "-DOURO_HTTP=$WITH_HTTP"
    "$CMAKE" --build "$build"
    install_from "$build"
    ;;
bare)
    only=$package/only-liburing
    mkdir -p "$only"
    cp "$(pkg-config --variable=pcfiledir liburing)"/liburing*.pc "$only"
    PKG_CONFIG_LIBDIR=$only
    export PKG_CONFIG_LIBDIR
    unset PKG_CONFIG_PATH
    # Say what is missing, and how to do without: refuses "ARGUMENT..." WORD...
    refuses() {
        arguments=$1
        shift
        rm -f "$build/CMakeCache.txt"
        # The arguments are words.
        # shellcheck disable=SC2086
        if configure $arguments >"$package/bare.said" 2>&1; then
            echo "configured with $arguments without its libraries, and without a word" >&2
            exit 1
        fi
        cat "$package/bare.said"
        for word in "$@"; do
            grep -qe "$word" "$package/bare.said" || {
                echo "it should have said: $word" >&2
                exit 1
            }
        done
    }
    refuses '-DOURO_PG=ON -DOURO_HTTP=OFF' -DOURO_PG=OFF libpq-dev
    refuses '-DOURO_PG=OFF -DOURO_HTTP=ON' -DOURO_HTTP=OFF libcurl4-openssl-dev libjansson-dev
    refuses '-DOURO_PG=OFF -DOURO_HTTP=OFF -DOURO_TESTS=ON' -DOURO_TESTS=OFF libcriterion-dev
    mkdir -p "$package/nothing"
    PKG_CONFIG_LIBDIR=$package/nothing
    refuses '-DOURO_PG=OFF -DOURO_HTTP=OFF' liburing-dev
    PKG_CONFIG_LIBDIR=$only
    rm -f "$build/CMakeCache.txt"
    configure -DOURO_PG=OFF -DOURO_HTTP=OFF
    "$CMAKE" --build "$build"
    install_from "$build"
    ;;
both)
    install_from "$package/build-shared"
    install_from "$package/build-static"
    ;;
esac
mv "$package/$kind.installed" "$package/$kind"
