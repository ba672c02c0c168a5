# shellcheck shell=bash
# Sourced by tests/run and docker/quickstart: installs Debian or Ubuntu
# packages that are missing. No package may start a service of its own.
#
#   install_missing WHAT YES PACKAGE:PROBE...
#
# WHAT is said to the user ("nearside's tests"); YES is 1 to ask nothing. A
# probe is a command's name, pc=MODULE for what pkg-config knows, py=MODULE
# for python3, or can=THING for what the function can_THING tries. Returns 1,
# having said why, when something stays missing.

can_fuzz() {
    echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -x c -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null
}

probe_is_there() {
    case $1 in
    pc=*) command -v pkg-config >/dev/null && pkg-config --exists "${1#pc=}" ;;
    py=*) [ -x /usr/bin/python3 ] && /usr/bin/python3 -c "import ${1#py=}" 2>/dev/null ;;
    can=*) "can_${1#can=}" ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# Prints the packages of those pairs whose probe fails.
missing_packages() {
    local pair
    for pair in "$@"; do
        probe_is_there "${pair#*:}" || printf '%s\n' "${pair%%:*}"
    done | sort -u
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# A package asks policy-rc.d whether it may start its service: 101 is no.
# Another's policy stays as it is. Returns 1 if there was nothing to do.
forbid_services() {
    [ -e /usr/sbin/policy-rc.d ] && return 1
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null &&
        as_root chmod 755 /usr/sbin/policy-rc.d
}

apt_lists_are_there() {
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install \
        -y -q --no-install-recommends "$@"
}

# In a subshell, so that the trap is its own. apt is heard only when it fails.
install_packages() (
    log=$(mktemp)
    if forbid_services; then
        trap 'rm -f "$log"; as_root rm -f /usr/sbin/policy-rc.d' EXIT
    else
        trap 'rm -f "$log"' EXIT
    fi
    trap 'exit 130' INT TERM HUP
    echo "Installing them ..."
    # Old lists may name versions that are gone.
    if apt_lists_are_there && apt_install "$@" >"$log" 2>&1; then
        exit 0
    fi
    if ! { as_root apt-get update -q && apt_install "$@"; } >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
)

# Not now, and not at the next boot either.
disable_service() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet "$1" 2>/dev/null || true
    fi
}

# Returns 0 when the user agrees, or when there is nobody to ask.
agreed() {
    local answer
    if [ "$1" -eq 1 ] || [ ! -t 0 ]; then
        return 0
    fi
    read -r -p 'Install them? [Y/n] ' answer
    case $answer in
    '' | [Yy]*) return 0 ;;
    *) return 1 ;;
    esac
}

can_install() {
    if ! command -v apt-get >/dev/null; then
        echo "This system has no apt-get; please install them yourself." >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "Neither root nor sudo; as root: apt-get install $*" >&2
        return 1
    fi
}

install_missing() {
    local what=$1 yes=$2 missing
    shift 2
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -eq 0 ] && return 0
    echo "For $what these packages are missing:"
    printf '    %s\n' "${missing[@]}"
    can_install "${missing[@]}" && agreed "$yes" || return 1
    install_packages "${missing[@]}" || return 1
    case " ${missing[*]} " in
    *' redis-server '*) disable_service redis-server ;;
    esac
    hash -r
    mapfile -t missing < <(missing_packages "$@")
    if [ "${#missing[@]}" -ne 0 ]; then
        echo "Still missing: ${missing[*]}" >&2
        return 1
    fi
}
