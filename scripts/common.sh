# Sourced by the other scripts, never run. Owns: where things are kept, the elapsed time before each line, and how a
# long command is run so that nothing is silent for more than ten seconds. Refuses to install or build anything.
# shellcheck shell=bash

set -Eeuo pipefail

ASSAY_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ASSAY_ROOT"

# What is built once and kept: in the user's cache folder, so that a second clone finds it.
ASSAY_CACHE=${XDG_CACHE_HOME:-${HOME:?HOME must be set}/.cache}/assay
export ASSAY_TOOLS=${ASSAY_TOOLS:-$ASSAY_CACHE/tools}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ASSAY_ROOT/target}
export ASSAY_BIN=$CARGO_TARGET_DIR/debug/assay
export ASSAY_WIRE_PLUGIN=$CARGO_TARGET_DIR/debug/examples/wire-plugin
ASSAY_LOGS=$ASSAY_ROOT/build/logs
mkdir -p "$ASSAY_LOGS"

# Freshly installed toolchains are often not on the PATH of a shell that was open before.
PATH=$PATH:$HOME/.cargo/bin:/usr/local/go/bin
# Packer asks HashiCorp for news otherwise.
export CHECKPOINT_DISABLE=1

# One clock for all scripts of a run.
export ASSAY_STARTED=${ASSAY_STARTED:-$(date +%s)}

# say TEXT: one line of progress.
say() {
    printf '[%4ds] %s\n' "$(($(date +%s) - ASSAY_STARTED))" "$*"
}

# fail TEXT: the last line before the end.
fail() {
    say "$*" >&2
    trap - ERR
    exit 1
}

# at_least WANTED FOUND: true when version FOUND is WANTED or newer.
at_least() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# Process groups of running background jobs; ended when the script ends, for whatever reason.
ASSAY_JOBS=()
end_jobs() {
    local job
    for job in "${ASSAY_JOBS[@]}"; do
        kill -- "-$job" 2>/dev/null || true
    done
}
trap end_jobs EXIT
# A command that fails without a word must not end a script without a word.
trap 'say "$0: line $LINENO failed (exit $?)" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM

# beat SECONDS NAME LOG [JOB]: every so many seconds says that NAME goes on, and its last line: as long as the process JOB
# lives, or else (LOG is on the screen) whenever LOG has not grown.
beat() {
    local seconds=$1 name=$2 log=$3 job=${4:-} size last=-1
    while sleep "$seconds"; do
        [ -z "$job" ] || kill -0 "$job" 2>/dev/null || return 0
        size=$(wc -c <"$log")
        if [ -n "$job" ] || [ "$size" = "$last" ]; then
            say "$name … $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-100)"
        fi
        last=$size
    done
}

# launch NAME COMMAND…: starts a command in the background, its output in a log, with a heartbeat. Finish it by `finish NAME`.
declare -A ASSAY_JOB_OF ASSAY_BEAT_OF
launch() {
    local name=$1 log=$ASSAY_LOGS/$1.log
    shift
    say "$name begins (log: ${log#"$ASSAY_ROOT/"})"
    : >"$log"
    # With job control each job is a process group of its own, which can be ended as a whole.
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    ASSAY_JOB_OF[$name]=$!
    beat 10 "$name" "$log" "${ASSAY_JOB_OF[$name]}" </dev/null &
    ASSAY_BEAT_OF[$name]=$!
    set +m
    ASSAY_JOBS+=("${ASSAY_JOB_OF[$name]}" "${ASSAY_BEAT_OF[$name]}")
}

# finish NAME: waits for a launched command; when it failed, shows the end of its log and returns its status.
finish() {
    local name=$1 status=0
    wait "${ASSAY_JOB_OF[$name]}" || status=$?
    kill -- "-${ASSAY_BEAT_OF[$name]}" 2>/dev/null || true
    wait "${ASSAY_BEAT_OF[$name]}" 2>/dev/null || true
    if [ "$status" = 0 ]; then
        say "$name done"
        return 0
    fi
    say "$name FAILED (exit $status); the end of ${ASSAY_LOGS#"$ASSAY_ROOT/"}/$name.log:"
    tail -n 60 "$ASSAY_LOGS/$name.log" | sed 's/^/    /'
    return "$status"
}

# shown NAME COMMAND…: runs a command in the foreground, its output on the screen and in a log.
shown() {
    local name=$1 log=$ASSAY_LOGS/$1.log beat status=0
    shift
    say "$name: $*"
    : >"$log"
    set -m
    beat 5 "$name" "$log" </dev/null &
    beat=$!
    set +m
    ASSAY_JOBS+=("$beat")
    "$@" 2>&1 | tee "$log" || status=$?
    kill -- "-$beat" 2>/dev/null || true
    wait "$beat" 2>/dev/null || true
    [ "$status" = 0 ] || say "$name FAILED (exit $status)"
    return "$status"
}

# as_root COMMAND…: runs a command as root, by sudo where needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -- "$@"
    fi
}

# ask_for_root WHY: asks for sudo's password now, in the foreground, rather than in the middle of a test.
ask_for_root() {
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        say "sudo may ask for your password: $1"
        sudo -v || fail "without root, no machine can be booted here"
    fi
}
