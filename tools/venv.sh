# Sourced by tools/run and tools/test: makes .venv in the repository's root and keeps it in step with pyproject.toml.
# Needs python3 (3.10 or later) and nothing else. Several may call it at once: a lock lets one work while the others wait.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

# quietly WORD...: run a command, show its output only when it fails.
quietly() {
    local output
    if ! output="$("$@" 2>&1)"; then
        printf '%s\n' "$output" >&2
        return 1
    fi
}

# as_root WORD...: run a command if we are root; false otherwise.
as_root() { [ "$(id -u)" = 0 ] && "$@"; }

# install_packages NAME...: Debian packages, for root only; no service is started.
# dpkg asks policy-rc.d before it starts a service: 101 forbids it. A policy that is there already is left alone.
install_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    local policy=/usr/sbin/policy-rc.d made='' status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 ||
        { apt-get update -qq >/dev/null 2>&1 && quietly apt-get install -qq -y --no-install-recommends "$@"; } || status=1
    [ -z "$made" ] || rm -f "$policy"
    return "$status"
}

# A Debian without python3-venv has no ensurepip: install it as root, else try virtualenv, else an environment filled by a pip from elsewhere.
make_venv() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { say "Python 3.10 or later is needed"; return 1; }
    rm -rf "$venv"
    if python3 -c 'import ensurepip, venv' 2>/dev/null && quietly python3 -m venv "$venv"; then return; fi
    say "python3-venv is missing"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing python3-venv with apt-get"
        install_packages python3-venv && quietly python3 -m venv "$venv" && return
    fi
    rm -rf "$venv"
    if python3 -m virtualenv --version >/dev/null 2>&1; then
        quietly python3 -m virtualenv "$venv" && return
    fi
    if python3 -m pip --version >/dev/null 2>&1 && python3 -m venv --without-pip "$venv" 2>/dev/null; then
        quietly python3 -m pip --python "$venv/bin/python" install pip && return
        rm -rf "$venv"
    fi
    say "cannot make a virtual environment. As root: apt-get install python3-venv; then try again."
    return 1
}

# ready_venv EXTRAS: .venv with this package installed, in editable form, with the extras (such as "test"; "" for none).
# The stamp holds what was installed: the sum of pyproject.toml, the place of the repository, the Python, and all extras so far.
ready_venv() {
    local extras="$1" sum stamp="$venv/.installed" had=''
    command -v python3 >/dev/null || { say "python3 is needed"; return 1; }
    sum="$(cat "$root/pyproject.toml" <(printf '%s\n' "$root") <(python3 --version) | cksum)"
    if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$sum" ] && { [ -z "$extras" ] || grep -qx "$extras" "$stamp"; }; then return; fi
    exec 9>"$root/.venv.lock"
    flock 9 2>/dev/null || true
    if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$sum" ]; then
        if [ -z "$extras" ] || grep -qx "$extras" "$stamp"; then exec 9>&-; return; fi
        had="$(tail -n +2 "$stamp")"
    fi
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || { say "making a virtual environment in .venv"; make_venv; } || return 1
    say "installing diskkv${extras:+ with what the ${extras}s need} into .venv"
    quietly "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root${extras:+[$extras]}" || return 1
    printf '%s\n' "$sum" $had $extras >"$stamp.new" && mv "$stamp.new" "$stamp"
    exec 9>&-
}
