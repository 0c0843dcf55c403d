# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Which Debian packages the scripts need, and how they are installed where they are missing.
# For bash; to be sourced.

# To build and run the libraries and tools.
PW_BUILD_PACKAGES=(
    gcc libc6-dev cmake ninja-build pkgconf
    libcjson-dev libprotobuf-c-dev protobuf-c-compiler uuid-dev libssl-dev
)

# To run every stage of scripts/test, in addition.
PW_TEST_PACKAGES=(
    g++ clang clang-format libcmocka-dev valgrind gcovr shellcheck python3 git
)

# pw_install_packages PACKAGE...: installs those that are missing. Says what it does, and does
# nothing, without a network, if all are there.
pw_install_packages() {
    local missing=() package
    for package in "$@"; do
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
            missing+=("$package")
        fi
    done
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
