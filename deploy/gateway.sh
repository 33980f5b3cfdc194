#!/bin/sh
# Makes this Debian host a gateway. The block that `ferriage gateway add` prints fetches this file
# from the shop and runs it as root: sh gateway.sh TOKEN. It asks nothing, and may run again.
#
# It changes: Debian packages that are missing ([gateway] in apt.txt), /opt/ferriage, and, where they
# are not there yet, /etc/ferriage/ferriage.toml and two units. FERRIAGE_ROOT puts the three
# directories elsewhere; then no unit is started. Other wheels come from the index that pip is set
# to, each held against its hash in agent.txt.
set -eu

token=$1
root=${FERRIAGE_ROOT:-}
here=$(cd "$(dirname "$0")" && pwd)
venv=$root/opt/ferriage/.venv
settings=$root/etc/ferriage/ferriage.toml

say() { printf 'gateway: %s\n' "$*"; }
fail() {
    printf 'gateway: %s\n' "$*" >&2
    exit 1
}

install_packages() {
    missing=
    for package in $(sed -n '/^\[gateway\]/,/^\[/{/^[a-z]/s/[ \t].*//p}' "$here/apt.txt"); do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=none
        [ "$status" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "will install with apt-get:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 -- several packages
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
    case "$missing " in *" unbound "*) ;; *) return 0 ;; esac
    say "unbound.service stays off; Ferriage starts an unbound of its own"
    [ ! -d /run/systemd/system ] || systemctl disable --quiet --now unbound.service || true
}

install_agent() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or newer is needed; Debian 12 and 13 have it. Nothing was installed in /opt."
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes -r "$here/agent.txt" ||
        fail "pip could not fetch the agent's requirements; this host must reach a package index."
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --no-index --no-deps --force-reinstall "$here"/ferriage-*.whl
    say "installed $("$venv/bin/ferriage" --version) in $venv"
}

write_settings() {
    if [ -e "$settings" ]; then
        say "left $settings as it is"
        return
    fi
    mkdir -p "$root/etc/ferriage"
    printf '[agent]\nstate_dir = "%s"\n' "$root/var/lib/ferriage-agent" >"$settings"
    say "wrote $settings"
}

enrol() {
    state=$(sed -n 's/^state_dir *= *"\(.*\)"$/\1/p' "$settings" | head -n 1)
    if [ -e "${state:-/nowhere}/identity.json" ]; then
        say "enrolled already; the token was not used"
        return
    fi
    "$venv/bin/ferriage" agent enrol "$token"
}

start() {
    if [ -n "$root" ] || [ ! -d /run/systemd/system ]; then
        say "no systemd here; keep these two running, as root:"
        say "  FERRIAGE_CONFIG=$settings $venv/bin/ferriage agent run"
        say "  FERRIAGE_CONFIG=$settings $venv/bin/ferriage hold"
        return
    fi
    install -m 0644 "$here/ferriage-agent.service" "$here/ferriage-hold.service" /etc/systemd/system/
    systemctl daemon-reload
    systemctl enable --quiet ferriage-agent ferriage-hold
    systemctl restart ferriage-agent ferriage-hold
    say "ferriage-agent and ferriage-hold run; their log: journalctl -u ferriage-agent"
}

[ "$(id -u)" = 0 ] || fail "Run this as root."
install_packages
install_agent
write_settings
export FERRIAGE_CONFIG="$settings"
enrol
start
say "what is right and what is not: FERRIAGE_CONFIG=$settings $venv/bin/ferriage agent doctor"
