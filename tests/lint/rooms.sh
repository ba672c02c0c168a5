#!/usr/bin/env bash
# Builds everything with clang, warnings as errors if CMakeLists.txt knows that
# clang, and each room as a shared library that must find all it calls in the
# floors below (-z defs).
#
# rooms.sh BUILD-DIRECTORY
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if ! command -v clang >/dev/null; then
    echo "clang is missing: apt-get install clang" >&2
    exit 1
fi
generator=()
if [ ! -e "$1/CMakeCache.txt" ] && command -v ninja >/dev/null; then
    generator=(-G Ninja)
fi
cmake -S "$root" -B "$1" "${generator[@]}" -DCMAKE_C_COMPILER=clang \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 \
    -DNEARSIDE_WERROR=KNOWN -DNEARSIDE_LINT_ROOMS=ON \
    --log-level=NOTICE
if ! cmake --build "$1" --parallel 2 >"$1/build.log" 2>&1; then
    tail -n 60 "$1/build.log"
    exit 1
fi
