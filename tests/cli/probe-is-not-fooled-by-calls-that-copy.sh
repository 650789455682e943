#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# With a library before libc that turns a call into a copy, the verdicts, the plan, the ledger and
# --require change; with one that makes a control lie, nothing is believed.
# timeout: 300
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
skip_under_sanitizer("it times loads; and the sanitizer wants to be loaded first")
SHIM = helper("libshim.so")
directory = scratch()
data = random_bytes(MIB)
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"


def lied_to(rules):
    return {**os.environ, "LD_PRELOAD": SHIM, "SLUICE_SHIM": rules,
            "XDG_CACHE_HOME": scratch()}


def legs(environment, status=0):
    result = sluice("probe", "--json", directory, env=environment, seconds=60).expect(status)
    return json.loads(result.out)["legs"]


def verdicts(found, call):
    return {leg["verdict"] for leg in found if leg["call"] == call and not leg["error"]}


for call in ("splice", "sendfile", "tee", "vmsplice"):
    honest = legs({**os.environ, "XDG_CACHE_HOME": scratch()})
    check("reference" in verdicts(honest, call), f"{call}: {verdicts(honest, call)}")
    false = legs(lied_to(f"{call}=copy"))
    check("reference" not in verdicts(false, call), f"{call} copies: {verdicts(false, call)}")
    check("copied" in verdicts(false, call), f"{call} copies: {verdicts(false, call)}")

# The plan and the requirement, in one cache; both calls copy, so nothing is left.
environment = lied_to("splice=copy,sendfile=copy")
legs(environment)
listener = tcp_listener()
plan = json.loads(sluice("explain", "--json", path, tcp_address(listener),
                         env=environment).expect(0).out)
best = plan["candidates"][0]
check(best["copies"] > 0, f"the plan has no copy: {best}")
check(plan["probed_at"], "the plan does not say when it was probed")
collector = Collector(listener, listener=True)
result = copy("--require=zero-copy", path, tcp_address(listener), env=environment)
result.refused(3, r"-> .* by .*(copy|prove)")
equal(collector.result(), b"", "moved in spite of the requirement")

# The ledger of a copy says it, too.
listener = tcp_listener()
collector = Collector(listener, listener=True)
ledger = copy("--json", "--method=splice", path, tcp_address(listener),
              env=environment).expect(0).ledger()
same_bytes(collector.result(), data, "copied by a false splice")
check(ledger["copies_per_byte"] > 0, f"the ledger has no copy: {ledger}")

# Without the lie the same is proven to be free of copies.
honest = {**os.environ, "XDG_CACHE_HOME": scratch()}
legs(honest)
plan = json.loads(sluice("explain", "--json", path, "tcp:127.0.0.1:9", env=honest).out)
check(all(leg["known"] == "proven" for leg in plan["candidates"][0]["legs"]),
      f"not proven: {plan['candidates'][0]}")
equal(plan["candidates"][0]["copies"], 0, "copies")

# A control that comes out wrong: nothing is believed, nothing is kept, and the status is 4.
environment = lied_to("write=lend")
result = sluice("probe", "--json", directory, env=environment, seconds=60).expect(4).says("trusted")
controls = json.loads(result.out)["controls"]
check(not controls["trusted"] and controls["passed"] < controls["count"], f"controls: {controls}")
no_leftovers(environment["XDG_CACHE_HOME"])
PY
