#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Help for everything that there is, on standard output; the version, with what is built in.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
page = os.path.join(os.path.dirname(os.path.dirname(HELPERS)), "man", "sluice-copy.1.scd")
text = sluice("copy", "--help").expect(0)
equal(text.err, "", "standard error of --help")
text = text.out.decode()
for option in ("--rate", "--size", "--offset", "--length", "--append", "--method", "--require",
               "--chunk", "--pipe-size", "--idle-timeout", "--linger", "--atomic", "--salvage",
               "--checksum", "--progress", "--numeric", "--quiet",
               "--verbose", "--stats", "--json"):
    matches(text, re.escape(option) + r"\b", "sluice copy --help")
for scheme in SCHEMES:
    matches(text, re.escape(scheme), "sluice copy --help: the endpoints")
if os.path.exists(page):
    for option in set(re.findall(r"\*(--[a-z-]+)\*", content(page).decode())):
        matches(text, re.escape(option),
                f"sluice copy --help has what the manual page has: {option}")
matches(sluice("--help").expect(0).out.decode(), r"copy\b[^$]*explain\b", "sluice --help")
matches(sluice("explain", "--help").expect(0).out.decode(), r"--json", "sluice explain --help")
matches(sluice("help").out.decode() or sluice("--help").out.decode(), r"copy", "sluice help")
matches(sluice("--version").expect(0).out.decode(), r"^sluice \d+\.\d+\.\d+", "sluice --version")
matches(sluice("--version").out.decode(), r"xxh3|json|sha256", "the optional features")
# Help that cannot be written is an error.
with open("/dev/full", "wb") as full:
    equal(sluice("--help", stdout=full).status, 1, "status of --help on a full device")
    result = copy("--json", "zero:", "null:", "--length", "10", stdout=full)
    equal(result.status, 1, "status when the ledger cannot be written")
PY
