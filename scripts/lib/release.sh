# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# Builds programs in the release preset, without its tests unless PW_RELEASE_TESTS is ON. For bash; to be sourced, in the
# repository's root.

# pw_build_release TARGET...: in build/release; says nothing unless it fails.
pw_build_release() {
    local log=build/release.log
    mkdir -p build
    if ! { cmake --preset release -DPYWATT_BUILD_TESTS="${PW_RELEASE_TESTS:-OFF}" &&
        cmake --build build/release -j 2 --target "$@"; } >"$log" 2>&1; then
        cat "$log" >&2
        return 1
    fi
}
