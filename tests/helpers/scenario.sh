# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by the scenarios that are written in Python. Runs the program that stands on standard
# input, with everything of scenario.py in scope:
#
#     scenario <<'PY'              as whoever runs the tests
#     scenario_as_nobody <<'PY'    never as root, also where the tests run as root
. "${SOURCE_ROOT:?}/tests/lib.sh"

# The system's own interpreter: another may lie where nobody cannot read it.
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=$(command -v python3) || skip "needs the command 'python3'"
export PYTHONDONTWRITEBYTECODE=1

keep_program() {
    cat >"$T/$TEST_NAME.py"
    chmod 644 "$T/$TEST_NAME.py"
}

# What is given goes before the interpreter.
run_program() {
    local status=0
    "$@" "$PYTHON" "$SOURCE_ROOT/tests/helpers/scenario.py" "$T/$TEST_NAME.py" </dev/null ||
        status=$?
    trap - ERR
    exit "$status"
}

scenario() {
    keep_program
    run_program
}

scenario_as_nobody() {
    keep_program
    run_program as_nobody
}
