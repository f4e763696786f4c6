# Sourced by the scripts here: where things are, and what a Debian machine may lack.

# shellcheck shell=bash
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit

say() { printf '\n== %s\n' "$*"; }

# Installs the Debian packages that give the commands named as COMMAND=PACKAGE, where they are missing.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]} (Debian's packages); install them, or run this as root on a Debian machine" >&2
        return 1
    fi
    say "installing ${missing[*]}"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "${missing[@]}"; } >/dev/null
}

# The Rust toolchain and what grpcio's C++ core is built with.
need_build() {
    if ! command -v cargo >/dev/null; then
        echo "missing: cargo, Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later (rustup.rs)" >&2
        return 1
    fi
    need cmake=cmake make=make c++=g++ objdump=binutils
}

# Builds the release binary, and prints where it is. Its linker map is kept beside it: cargo's test builds write theirs to the same place.
build() {
    local binary
    binary=$top/target/$(rustc -vV | sed -n 's/^host: //p')/release/nomad-driver-exec2
    cargo build --release --quiet >&2
    if [ ! -f "$binary.own.map" ] || [ "$binary.own.map" -ot "$binary" ]; then
        touch src/main.rs
        cargo build --release --quiet >&2
        # In a checkout that was moved, what the build script said earlier still names the old place.
        [ "$binary.map" -nt src/main.rs ] || { touch build.rs && cargo build --release --quiet >&2; }
        cp "$binary.map" "$binary.own.map"
    fi
    echo "$binary"
}
