#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a probe found is kept for this kernel and user, shown again, and used; what is damaged or
# somebody else's is not. --diff says what has changed, and with status 3 that a leg copies now.
# timeout: 300
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory, cache = scratch(), scratch()
environment = {**os.environ, "XDG_CACHE_HOME": cache}
path = file_with(random_bytes(MIB), f"{directory}/in")


def run(*words, **options):
    return sluice("probe", *words, env=options.pop("environment", environment), seconds=60,
                  **options)


# Nothing is kept yet.
run("--cached").refused(1, "kept")
plan = lambda: json.loads(sluice("explain", "--json", path, "tcp:127.0.0.1:9",
                                 env=environment).expect(0).out)
check(plan()["probed_at"] is None, "probed before any probe")

first = json.loads(run("--json", directory).expect(0).out)
kept, = os.listdir(f"{cache}/sluice")
check(os.uname().release in kept and str(os.geteuid()) in kept, f"the cache's name: {kept}")
equal(os.stat(f"{cache}/sluice").st_mode & 0o777, 0o700, "the cache's mode")
again = json.loads(run("--json", "--cached").expect(0).out)
keys = ("from", "to", "call", "variant", "place", "verdict", "error")
wanted = {tuple(leg[key] for key in keys) for leg in first["legs"]}
equal({tuple(leg[key] for key in keys) for leg in again["legs"]}, wanted, "what was kept")
check(plan()["probed_at"], "the plan does not go by what was kept")
text = sluice("explain", path, "tcp:127.0.0.1:9", env=environment).expect(0).out.decode()
matches(text, r"legs probed just now", "when")
matches(text, r"^-> splice.*\bproven$", "how it is known")
check("proven" not in sluice("explain", path, "tcp:192.0.2.1:9",
                             env=environment).expect(0).out.decode().split("read-write")[0]
      .split("=ref=> tcp")[-1], "what was measured on loopback is proven for a card")

# --no-cache keeps nothing; a second probe keeps the first one's legs.
other = scratch()
run("--no-cache", directory, environment={**os.environ, "XDG_CACHE_HOME": other}).expect(0)
no_leftovers(other)

# Damaged, or a link: as if there were none.
name = f"{cache}/sluice/{kept}"
whole = content(name)
for damage in (b"", whole[:len(whole) // 2], b"x" + whole, whole.replace(b"6.", b"5.")):
    file_with(damage, name)
    check(plan()["probed_at"] is None, f"believed a damaged file: {damage[:40]}")
file_with(whole, f"{directory}/elsewhere")
os.unlink(name)
os.symlink(f"{directory}/elsewhere", name)
check(plan()["probed_at"] is None, "followed a link")

# A cache that cannot be written is a line, and no failure.
file_with(b"", f"{other}/blocked")
run(directory, environment={**os.environ, "XDG_CACHE_HOME": f"{other}/blocked"}).expect(0).says(
    "kept")

# --diff.
old, new = f"{directory}/old.json", f"{directory}/new.json"
file_with(json.dumps(first).encode(), old)
file_with(json.dumps(first).encode(), new)
result = run("--diff", old, new).expect(0)
matches(result.out.decode(), r"no difference in \d+ legs", "the same")


def changed(**values):
    later = json.loads(json.dumps(first))
    leg = next(leg for leg in later["legs"]
               if leg["from"] == "pipe" and leg["to"] == "pipe" and leg["call"] == "tee")
    leg.update(values)
    file_with(json.dumps(later).encode(), new)


changed(verdict="copied")
matches(run("--diff", old, new).expect(3).out.decode(), r"pipe -> pipe tee\s+reference\s+copied",
        "the leg that copies now")
run("--diff", new, old).expect(0)
changed(verdict="unknown")
matches(run("--diff", old, new).expect(0).out.decode(), r"tee\s+reference\s+unknown", "unknown")
changed(error="EINVAL", verdict="unknown", works=False)
matches(run("--diff", old, new).expect(0).out.decode(), r"tee\s+reference\s+EINVAL", "refused")
changed(variant="new")
lines = run("--diff", old, new).expect(0).out.decode()
matches(lines, r"tee new\s+-\s+reference", "a leg that came")
matches(lines, r"tee\s+reference\s+-", "a leg that went")
for damaged in (b"", b"{}", b"[1,2", json.dumps({**first, "version": 2}).encode()):
    file_with(damaged, new)
    run("--diff", old, new).refused(2, "new.json")
run("--diff", old).refused(2, "two files")
run("--diff", old, f"{directory}/none").refused(2, "none")

# --explain.
text = run("--explain", "pipe -> pipe tee", directory).expect(0).out.decode()
matches(text, r"^leg\s+pipe -> pipe tee", "the leg")
matches(text, r"^verdict\s+reference\s+by .*alias", "the verdict")
matches(text, r"^alias\s+no copy\s+\d+ of \d+ bytes", "the evidence")
run("--explain", "pipe->pipe", directory).expect(0)
run("--explain", "pipe -> nowhere", directory).refused(2, "no leg 'pipe -> nowhere'")

# Words that are wrong.
run("--jsn").refused(2, "did you mean '--json'")
run(f"{directory}/absent").refused(2, "absent")
run("--help").expect(0)
PY
