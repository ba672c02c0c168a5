# shellcheck shell=bash
# Sourced: what nearside needs of Debian or Ubuntu, as PACKAGE:PROBE
# (install.sh). The Dockerfile and CMakeLists.txt name the same packages;
# lint.docker compares.

# shellcheck disable=SC2034  # whoever sources this uses them
BUILD_PACKAGES=(
    gcc:gcc
    libc6-dev:cc
    make:make
    cmake:cmake
    pkg-config:pkg-config
    libevent-dev:pc=libevent
    libhiredis-dev:pc=hiredis
    libjansson-dev:pc=jansson
    libxxhash-dev:pc=libxxhash
    libmd-dev:pc=libmd
    libsqlite3-dev:pc=sqlite3
    libcmocka-dev:pc=cmocka
)

# To run the tests.
# shellcheck disable=SC2034
TEST_PACKAGES=(
    ninja-build:ninja
    redis-server:redis-server
    redis-tools:redis-cli
    python3:python3
    python3-yaml:py=yaml
    binutils:readelf
    clang:clang
    clang-format:clang-format
    shellcheck:shellcheck
    valgrind:valgrind
)

# For --long, with the fuzzers'. libconfuse is what version 0.1 needs.
# shellcheck disable=SC2034
LONG_PACKAGES=(
    clang-tidy:clang-tidy
    slowhttptest:slowhttptest
    nodejs:node
    npm:npm
    debootstrap:debootstrap
    git:git
    libconfuse-dev:pc=libconfuse
)

# To run fuzzers; where it has another name, clang brings it along.
# shellcheck disable=SC2034
FUZZ_PACKAGES=(
    libclang-rt-dev:can=fuzz
)

# To run the tour.
# shellcheck disable=SC2034
TOUR_PACKAGES=(
    redis-server:redis-server
    redis-tools:redis-cli
    curl:curl
)
