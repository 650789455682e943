#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is installed is found by pkg-config and by CMake, shared and static, from C and from C++, without a
# warning; and it copies.
. "${SOURCE_ROOT:?}/tests/lib.sh"
need_root "meson install writes its log into the build"
need_command cc c++ pkg-config
skip_under_sanitizer "programs of others are linked without one"

meson install -C "$BUILD_ROOT" --no-rebuild --quiet --destdir "$T/root" >"$T/log" 2>&1 ||
    fail "meson install: $(cat "$T/log")"
pc=$(find "$T/root" -name sluice.pc)
lib=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_SYSROOT_DIR=$T/root PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$pc"):$(pkg-config --variable pc_path pkg-config)

cat >"$T/copy.c" <<'C'
#include <sluice.h>
int main(void)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    sluice_endpoint *source, *sink;
    sluice_context *context = sluice_context_new(0, 0);
    options.flags = SLUICE_LENGTH;
    options.length = 200000;
    return !context || sluice_endpoint_from_fd(context, 0, SLUICE_BORROW, &source) < 0 ||
           sluice_endpoint_from_fd(context, 1, SLUICE_BORROW, &sink) < 0 ||
           sluice_copy(context, source, sink, &options, 0) < 0;
}
C
{
    cat "$T/copy.c"
    echo 'sluice_fanout_options fanout = SLUICE_FANOUT_OPTIONS_INIT;'
    echo 'sluice_sink_options sink = SLUICE_SINK_OPTIONS_INIT;'
} >"$T/copy.cc"
random_file 300000 "$T/in"
head -c 200000 "$T/in" >"$T/wanted"

copies() { # what was linked copies, with the shared library where it was installed
    LD_LIBRARY_PATH=$lib "$1" <"$T/in" >"$T/out" || fail "$1 does not copy"
    expect_same "$T/wanted" "$T/out"
}

warnings="-Wall -Wextra -Wconversion -Werror"
for standard in c99 c17; do
    cc -std=$standard -pedantic $warnings "$T/copy.c" -o "$T/copy" $(pkg-config --cflags --libs sluice)
    copies "$T/copy"
done
cc -static $warnings "$T/copy.c" -o "$T/copy" $(pkg-config --static --cflags --libs sluice)
copies "$T/copy"
for standard in c++11 c++17 c++20; do
    c++ -std=$standard -pedantic $warnings "$T/copy.cc" -o "$T/copy" $(pkg-config --cflags --libs sluice)
    copies "$T/copy"
done

command -v cmake >/dev/null || skip "no cmake: find_package() was not tried"
cat >"$T/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.13)
project(user C CXX)
find_package(sluice 0.1 REQUIRED)
add_executable(shared copy.c)
target_link_libraries(shared sluice::sluice)
add_executable(static copy.cc)
target_link_libraries(static sluice::static)
CMAKE
cmake -S "$T" -B "$T/cmake" -DCMAKE_PREFIX_PATH="$(dirname "$lib");$(dirname "$(dirname "$lib")")" \
    -Dsluice_DIR="$lib/cmake/sluice" >"$T/log" 2>&1 || fail "$(cat "$T/log")"
cmake --build "$T/cmake" >"$T/log" 2>&1 || fail "$(cat "$T/log")"
copies "$T/cmake/shared"
copies "$T/cmake/static"
sed -i 's/sluice 0.1/sluice 0.9/' "$T/CMakeLists.txt"
cmake -S "$T" -B "$T/cmake2" -Dsluice_DIR="$lib/cmake/sluice" >"$T/log" 2>&1 &&
    fail "a newer version than there is was found"
true
