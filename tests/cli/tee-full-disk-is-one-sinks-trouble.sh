#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A disk gets full in the middle of a round. Whichever sink is on it (first, last, standard output, opened to
# append, several at once) has an exact prefix, of the length that the ledger says; the others have every byte.
# A spill file there ends its own sink alone.
# serial: fills the one small file system
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
small = os.environ.get("SLUICE_SMALLFS")
if not small:
    skip("missing small: not set up here")
small, kept = scratch(small), scratch()
data = random_bytes(40 * MIB)
path = file_with(data, f"{kept}/in")


def ledger(result):
    return json.loads([line for line in result.err.splitlines() if line.startswith("{")][-1])


def full(name):
    return f"{small}/{name}"


def whole(name):
    return f"{kept}/{name}"


# What is given as sinks, standard output first; options.
SCENES = {
    "first": ([whole("out"), full("a"), whole("b"), whole("c")], []),
    "last": ([whole("out"), whole("b"), full("a")], []),
    "standard output": ([full("a"), whole("b"), whole("c")], []),
    "standard output alone": ([full("a")], []),
    "to append": ([whole("out"), full("a"), whole("b")], ["--append"]),
    "two of them": ([full("a"), whole("b"), full("c")], []),
    "nine sinks": ([whole("out"), full("a")] + [whole(f"more-{i}") for i in range(7)], []),
}


def check_sink(sink, name, what):
    got = content(name)
    if not name.startswith(small):
        same_bytes(got, data, f"{name}, {what}")
        equal((sink["state"], sink["delivered"]), ("done", len(data)), f"{name}, {what}")
        return 0
    check(0 < len(got) < len(data), f"{len(got)} bytes on the full disk, {what}")
    same_bytes(got, data[:len(got)], f"{name}, {what}")
    equal((sink["state"], sink["delivered"], sink["error"]["errno"]), ("failed", len(got), "ENOSPC"), what)
    return 1


for scene, (names, options) in SCENES.items():
    for source in ("pipe", "file"):
        what = f"{scene}, from a {source}"
        out = os.open(names[0], os.O_WRONLY | os.O_CREAT)
        with open(path, "rb") as f:
            given = {"input": data} if source == "pipe" else {"stdin": f}
            result = sluice("tee", "--json", *options, *names[1:], stdout=out, **given)
        os.close(out)
        result.refused(1, r"No space left on device")
        sinks = ledger(result)["sinks"]
        equal(len(sinks), len(names), f"sinks in the ledger, {what}")
        failed = [check_sink(sink, name, what) for sink, name in zip(sinks, names)]
        equal(len(re.findall("No space left", result.err)), sum(failed), f"how often it is said, {what}")
        for name in names:
            os.unlink(name)

# A spill file on the full disk: its sink ends, the others do not notice.
os.mkfifo(whole("slow"))
slow = os.open(whole("slow"), os.O_RDONLY | os.O_NONBLOCK)
result = sluice("tee", "--json", f"{whole('slow')},slow=spill={full('spill')},lag=64K", whole("b"), input=data)
os.set_blocking(slow, True)
got = Collector(slow).result()
result.refused(1, r"No space left on device.*its spill file", r"the others go on")
same_bytes(result.out, data, "standard output beside a full spill file")
same_bytes(content(whole("b")), data, "a file beside a full spill file")
sink = ledger(result)["sinks"][1]
equal((sink["state"], sink["delivered"]), ("failed", len(got)), "the sink whose spill file is full")
same_bytes(got, data[:len(got)], "what it had got")
PY
