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
    refuses() { # WITH WITHOUT PACKAGE...
        rm -f "$build/CMakeCache.txt"
        if configure "-D$1=ON" "-D$2=OFF" >"$package/bare.said" 2>&1; then
            echo "configured with $1 without its libraries, and without a word" >&2
            exit 1
        fi
        cat "$package/bare.said"
        grep -qe "-D$1=OFF" "$package/bare.said"
        shift 2
        for name in "$@"; do
            grep -q "$name" "$package/bare.said"
        done
    }
    refuses OURO_PG OURO_HTTP libpq-dev
    refuses OURO_HTTP OURO_PG libcurl4-openssl-dev libjansson-dev
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
