#!/bin/sh
# SPDX-License-Identifier: MIT
# Build and install: install.sh shared|static|both SOURCE PACKAGE
# The tree is installed in one place and moved to PACKAGE/KIND, so that whatever remembers where it
# was built or installed breaks the tests that follow.
set -eu

kind=$1
source=$2
package=$3

install_from() { # BUILD
    "$CMAKE" --install "$1" --prefix "$package/$kind.installed"
}

rm -rf "${package:?}/$kind" "$package/$kind.installed"
case $kind in
shared | static)
    shared=OFF
    [ "$kind" = static ] || shared=ON
    build=$package/build-$kind
    "$CMAKE" -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=$shared \
        -DOURO_TESTS=OFF -DOURO_SAMPLES=OFF -DOURO_BENCH=OFF
    "$CMAKE" --build "$build"
    install_from "$build"
    ;;
both)
    install_from "$package/build-shared"
    install_from "$package/build-static"
    ;;
esac
mv "$package/$kind.installed" "$package/$kind"
