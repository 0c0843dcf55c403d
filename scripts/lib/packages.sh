# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Which Debian packages the scripts need, and how they are installed where they are missing.
# For bash; to be sourced.

# To build and run the libraries and tools.
PW_BUILD_PACKAGES=(
    gcc libc6-dev cmake ninja-build pkgconf
    libcjson-dev libprotobuf-c-dev protobuf-c-compiler uuid-dev libssl-dev libsqlite3-dev
    libinih-dev
)

# To run every stage of scripts/test, in addition.
PW_TEST_PACKAGES=(
    g++ clang clang-format libcmocka-dev valgrind gcovr shellcheck python3 git
)

# To run tests/fuzz/run-fuzzers, in addition to what builds.
PW_FUZZ_PACKAGES=(clang libclang-rt-14-dev llvm libcmocka-dev python3)

# What networks are tortured with; tests go on without, and say which cases they skip.
PW_TORTURE_PACKAGES=(iproute2 nftables)

# What measurements compare with, and draw with; they go on without.
PW_BENCH_PACKAGES=(redis-server redis-tools etcd-server nats-server libnats-dev gnuplot-nox)

# pw_install_packages PACKAGE...: installs those that are missing. Says what it does, and does
# nothing, without a network, if all are there.
pw_install_packages() {
    local missing
    mapfile -t missing < <(pw_missing "$@")
    if ((${#missing[@]} == 0)); then
        return 0
    fi

    local as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            echo "Missing: ${missing[*]}. Run this as root, or install sudo." >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -q </dev/null || return
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null
}

# pw_missing PACKAGE...: prints those that are not installed.
pw_missing() {
    local package
    for package in "$@"; do
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
            echo "$package"
        fi
    done
}

# pw_try_packages PACKAGE...: installs those that are missing and can be had; says which cannot, and
# that is no failure. Servers may be among them: none is started, now or when the machine starts.
pw_try_packages() {
    local missing policy=/usr/sbin/policy-rc.d made='' package
    mapfile -t missing < <(pw_missing "$@")
    if ((${#missing[@]} == 0)); then
        return 0
    fi
    if ((EUID != 0)); then
        echo "Missing, and done without, since this does not run as root: ${missing[*]}"
        return 0
    fi
    # Packages ask this program before they start a service; where there is none, they do start it.
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=$policy
    fi
    if ! pw_install_packages "${missing[@]}"; then
        for package in "${missing[@]}"; do
            pw_install_packages "$package" || echo "Cannot be had, and done without: $package"
        done
    fi
    for package in "${missing[@]}"; do
        case $package in
        redis-server | nats-server) systemctl disable "$package" ;;
        etcd-server) systemctl disable etcd ;;
        esac >/dev/null 2>&1 || true
    done
    [[ -z $made ]] || rm -f "$made"
}
