#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What each command prints with --json is as its schema in share/ says, when it succeeds and when it fails;
# and the schema names every field: one that it does not know is an error here.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from schemas import faults, names

equal(names(), ["bench", "copy", "explain", "probe", "relay", "tee"], "the schemas that there are")


def printed(command, *words, status=0, **more):
    result = start(command, *words, **more).finish(100)
    equal(result.status, status, f"{command} {words}: {result.err}")
    for text in (result.out.decode(errors="replace"), result.err):
        found, at = [], text.find("{")
        while at >= 0 and (at == 0 or text[at - 1] == "\n"):
            object, end = json.JSONDecoder().raw_decode(text[at:])
            found.append(object)
            at = text.find("{", at + end)
        if found:
            break
    check(found, f"{command} {words} prints no JSON: {result.out!r} {result.err}")
    for object in found:
        equal(faults(command, object), [], f"{command} {words}")
    return found


directory = scratch()
source = file_with(random_bytes(3 * MIB), f"{directory}/in")

# copy: each method, a progress line, an error, what only some options print.
for method in ("auto", "copy-range", "sendfile", "splice", "mmap-write", "read-write", "direct"):
    printed("copy", "--json", f"--method={method}", source, f"{directory}/out")
lines = printed("copy", "--json=lines", "--rate=4M", source, f"{directory}/out")
equal(lines[-1]["event"], "done", "the last line")
printed("copy", "--json", "--cache=drop", "--verify", "--checksum=sha256", source, f"{directory}/out")
printed("copy", "--json", source, "null:")
failed = printed("copy", "--json", source, "/dev/full", status=1)
equal(failed[-1]["error"]["errno"], "ENOSPC", "the error")
# What is refused before a byte moves is an error there, too, whoever refuses it.
for words, status in ((("--resume", "-", f"{directory}/out"), 1), (("--verify", source, "null:"), 1),
                      (("--sync", source, "null:"), 1), (("--checksum=xxh3", "-", "null:"), 1),
                      (("--length=1G", source, f"{directory}/out"), 1), (("--atomic", source, "null:"), 1),
                      ((f"--salvage={directory}/new", source, f"{directory}/new"), 2),
                      ((f"--salvage={directory}/no/new", source, "null:"), 1), ((source, source), 1)):
    refused = printed("copy", "--json", *words, status=status, stdin=open(os.devnull))
    equal((refused[-1]["status"], "error" in refused[-1]), ("error", True), f"{words}")
printed("copy", "--json", "--require=zero-copy", "--method=read-write", source, f"{directory}/out", status=3)

# tee
printed("tee", "--json", f"--from={source}", f"{directory}/one", f"{directory}/two")
printed("tee", "--json", "--checksum=sha256", f"--from={source}", "/dev/full", f"{directory}/two", status=1)

# explain: a pair, kinds alone, and a pair that nothing serves.
printed("explain", "--json", source, f"{directory}/out")
printed("explain", "--json", source, "tcp:")
printed("explain", "--json", "--method=reflink", "tcp:", "tcp:", status=1)

# probe
if not os.environ.get("SLUICE_SANITIZER"):
    found = printed("probe", "--json", "--no-cache", directory)[0]
    check(found["legs"] and found["facts"], "legs and facts")

# bench: every path, what cannot be done, and the broker.
tiny = ("--json", "-q", "--disk", directory, "--size=1M", "--rounds=1", "--time=1")
found = printed("bench", *tiny, "--only=file-file", "--only=file-tcp", "--only=memory-tcp", "--chunk=64K")[0]
check(found["groups"] and found["classic"], "groups, and the table")
found = printed("bench", *tiny, "--only=broker")[0]
equal({group["part"] for group in found["broker"]}, {"append", "serve", "behind"}, "the broker's parts")

# It can fail: a field that is not named, one that is missing, a word that is none.
whole = found
for change in (lambda o: o.update(news=1), lambda o: o.pop("rounds"), lambda o: o.update(extent="some"),
               lambda o: o["machine"].update(cpus=0)):
    wrong = json.loads(json.dumps(whole))
    change(wrong)
    check(faults("bench", wrong), "what is wrong passes")
PY
