#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The table in docs/endpoints.md is what the plan says, cell by cell.
. "${SOURCE_ROOT:?}/tests/lib.sh"

"$HELPERS/pairs" >"$T/planned"
sed -n '/^| source \\ sink |/,/^$/p' "$SOURCE_ROOT/docs/endpoints.md" | sed '/^$/d' >"$T/written"
diff -u "$T/written" "$T/planned" || fail "docs/endpoints.md: paste the output of tests/helpers/pairs"
