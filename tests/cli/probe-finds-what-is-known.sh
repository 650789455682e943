#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# On every file system the verdicts are those of the table in docs/verdicts.md, which also has what
# was found on the same kernel by programs of another hand. Once with both CPUs busy.
# timeout: 400
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
skip_under_sanitizer("it times loads and CPU seconds")
if os.uname().release.split(".")[:2] != ["6", "18"]:
    skip("the table is of Linux 6.18")

TABLE = os.path.join(os.environ["SOURCE_ROOT"], "docs/verdicts.md")


def rows():
    """(leg, call, variant, {column: verdict}) of the table."""
    columns = None
    for line in open(TABLE):
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if cells[0] == "leg":
            columns = cells[3:-1]
        elif columns and len(cells) > len(columns) and " -> " in cells[0]:
            yield cells[0], cells[1], cells[2], dict(zip(columns, cells[3:-1]))


def probe(*directories, **options):
    return json.loads(sluice("probe", "--json", "--no-cache", *directories, seconds=60,
                             **options).expect(0).out)


def outcome(leg):
    return leg["error"] or leg["verdict"]


def may_stay_unknown(kind, variant):
    """The daemon of FUSE copies on whichever CPU it runs, and nobody need have seen it."""
    return kind == "fuse-direct" or (kind == "fuse" and variant == "O_DIRECT")


def check_table(probed, name, kind):
    """A neighbour's noise may leave a leg unknown, once; another verdict is never forgiven."""
    measured = [{(f"{leg['from']} -> {leg['to']}", leg["call"], leg["variant"]): leg
                 for leg in found["legs"]} for found in probed]
    compared = unsure = 0
    for leg, call, variant, wanted in rows():
        verdict = wanted.get(kind) or wanted.get("any")
        if not verdict or verdict == "-":
            continue
        key = (leg.replace("FILE", kind.split("-")[0]), call, variant)
        seen = []
        for legs in measured:
            check(key in legs, f"{name}: {key} was not measured")
            check(outcome(legs[key]) in (verdict, "unknown"),
                  f"{name}: {key} is not {verdict}: {legs[key]}")
            seen.append(outcome(legs[key]))
        unsure += verdict not in seen and not may_stay_unknown(kind, variant)
        compared += 1
    check(compared > 10, f"{name}: only {compared} verdicts were compared")
    return compared, unsure


total = 0
for name, directory in file_systems().items():
    if name == "here":
        continue
    probed = []
    unsure = 1
    while unsure and len(probed) < 6:
        found = probe(directory)
        check(found["controls"]["trusted"], f"{name}: {found['controls']}")
        probed.append(found)
        compared, unsure = check_table(probed, name, name)
    equal(unsure, 0, f"{name}: verdicts that stayed unknown, in {len(probed)} runs")
    equal(max(found["controls"]["passed"] for found in probed), 3, f"{name}: controls")
    note(f"{name}: {min(found['seconds'] for found in probed):.1f} s")
    total += compared
note(f"{total} verdicts")

directory = scratch()
busy = [subprocess.Popen([sys.executable, "-c", "while True: bytes(20000000)"])
        for _ in range(os.cpu_count())]
try:
    calm = None
    for turn in range(10 if ALL else 3):
        found = {(leg["from"], leg["to"], leg["call"], leg["variant"]): outcome(leg)
                 for leg in probe(directory)["legs"]}
        for key, verdict in found.items():
            if calm:
                check(verdict in (calm[key], "unknown") or calm[key] == "unknown",
                      f"under load, turn {turn}: {key} was {calm[key]}, is {verdict}")
        calm = calm or found
finally:
    for process in busy:
        process.kill()
        process.wait()
PY
