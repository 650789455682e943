#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An ordinary user whose pipe budget is nearly spent, and one who may have few descriptors: rounds go through one
# shared buffer, which the ledger tells, and everybody gets every byte.
# serial: the budget is the user's, and other tests are the same user
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario_as_nobody <<'PY'
data = random_bytes(8 * MIB)


def spend(pipes):
    held = []
    try:
        for _ in range(pipes):
            held.append(os.pipe())
            fcntl.fcntl(held[-1][1], F_SETPIPE_SZ, 1 << 20)
    except OSError:
        pass
    return held


def run(what, sinks, *words, fewer=None):
    paths = [f"{scratch()}/sink" for _ in range(sinks)]
    collectors, fds = [], []
    for _ in range(2):
        read_end, write_end = os.pipe()
        collectors.append(Collector(read_end))
        fds.append(write_end)
    with open(file_with(data), "rb") as f:
        running = start("tee", "--json", *words, *paths, *(f"fd:{fd}" for fd in fds), stdin=f, pass_fds=fds,
                        before=fewer)
    for fd in fds:
        os.close(fd)
    result = running.finish().expect(0)
    same_bytes(result.out, data, f"{what}: standard output")
    for path in paths:
        same_bytes(content(path), data, f"{what}: a file")
    for collector in collectors:
        same_bytes(collector.result(), data, f"{what}: a pipe")
    return json.loads([line for line in result.err.splitlines() if line.startswith("{")][-1])


resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)) if resource.getrlimit(
    resource.RLIMIT_NOFILE)[1] >= 4096 else None
ledger = run("with the whole budget", 3)
check(ledger["rounds_by_pipe"] > 0, "with the whole budget no round was shared")
for left in (0, 1, 3):
    held = spend(64 - left)
    ledger = run(f"with {left} MiB of pipes left", 3)
    for ends in held:
        os.close(ends[0]), os.close(ends[1])
    if left == 0:
        check(any("buffer" in (row["reason"] or "") for row in ledger["fallbacks"]),
              f"the ledger does not tell that pipes were lacking: {ledger['fallbacks']}")
ledger = run("with few descriptors", 3,
             fewer=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (22, 22)))
check(ledger["fallbacks"], "the ledger does not tell that descriptors were lacking")
PY
