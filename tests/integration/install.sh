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
    configure -DBUILD_SHARED_LIBS=$shared "-DOURO_PG=$WITH_PG"
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
    rm -f "$build/CMakeCache.txt"
    if configure >"$package/bare.said" 2>&1; then
        echo "configured without libpq, and without a word" >&2
        exit 1
    fi
    cat "$package/bare.said"
    grep -q libpq-dev "$package/bare.said"
    grep -qe -DOURO_PG=OFF "$package/bare.said"
    configure -DOURO_PG=OFF
    "$CMAKE" --build "$build"
    install_from "$build"
    ;;
both)
    install_from "$package/build-shared"
    install_from "$package/build-static"
    ;;
esac
mv "$package/$kind.installed" "$package/$kind"
