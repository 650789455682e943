#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A disk that is full in the middle of a round, readers that leave: the others get every byte, the dead an
# exact prefix, and the ledger has that number.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(40 * MIB)


def ledger(result):
    return json.loads([line for line in result.err.splitlines() if line.startswith("{")][-1])


def sinks_of(result):
    return {sink["sink"]: sink for sink in ledger(result)["sinks"]}


small = os.environ.get("SLUICE_SMALLFS")
if small:
    small = scratch(small)
    for vm in (False, True):
        full, whole = f"{small}/full", f"{scratch()}/whole"
        if vm:
            result = sluice("tee", "--json", full, whole, input=data)
        else:
            with open(file_with(data), "rb") as f:
                result = sluice("tee", "--json", full, whole, stdin=f)
        result.refused(1, r"cannot write to '.*full'.*No space left on device", r"the others go on")
        same_bytes(result.out, data, "standard output beside a full disk")
        same_bytes(content(whole), data, "a file beside a full disk")
        got = content(full)
        same_bytes(got, data[:len(got)], "what is on the full disk")
        sink = sinks_of(result)[full]
        equal((sink["state"], sink["delivered"]), ("failed", len(got)), "the ledger of the full disk")
        equal(sink["error"]["errno"], "ENOSPC", "its error")
        os.unlink(full)
        result = sluice("tee", "--output-error=exit", full, whole, input=data).refused(1, r"No space left")
        os.unlink(full)
else:
    note("no small file system here")

# Readers that leave after so many bytes; -p, so that the others go on.
for size in (1, 4095, 4096, 70001, 1 * MIB, 5 * MIB + 3):
    for kind, pair in (("pipe", os.pipe), ("unix", unix_pair)):
        ours, theirs = pair()
        path = f"{scratch()}/whole"
        read_end, write_end = os.pipe()
        running = start("tee", "-p", "--json", path, f"fd:{fd_of(theirs)}", stdin=read_end,
                        pass_fds=[fd_of(theirs)])
        os.close(read_end)
        close(theirs)
        feeder = Feeder(write_end, data[:12 * MIB])
        got = b""
        while len(got) < size:
            got += os.read(fd_of(ours), size - len(got)) if kind == "pipe" else ours.recv(size - len(got))
        if kind == "unix": # what is under way must arrive before it can be counted
            settle(running)
            ours.shutdown(socket.SHUT_RD)
            time.sleep(0.05)
        else:
            settle(running)
        left = bytearray(4)
        fcntl.ioctl(fd_of(ours), FIONREAD, left)
        left = int.from_bytes(left, "little")
        close(ours)
        result = running.finish().expect(0)
        same_bytes(result.out, data[:12 * MIB], f"standard output beside a {kind}")
        same_bytes(content(path), data[:12 * MIB], f"a file beside a {kind}")
        same_bytes(got, data[:size], f"what the {kind} got")
        sink = ledger(result)["sinks"][2]
        if kind == "pipe":
            equal((sink["state"], sink["delivered"]), ("failed", size + left),
                  f"the ledger of a {kind} that died at {size}")

# Standard output's reader leaves: by SIGPIPE, without a word, and the file has what was taken.
read_end, write_end = os.pipe()
out_end, out = os.pipe()
path = f"{scratch()}/whole"
running = start("tee", path, stdin=read_end, stdout=out)
os.close(read_end)
os.close(out)
os.write(write_end, data[:1000])
equal(os.read(out_end, 2000), data[:1000], "the beginning")
os.close(out_end)
os.write(write_end, data[1000:3000])
result = running.finish(10).expect(128 + signal.SIGPIPE)
equal(result.err, "", "what it said")
same_bytes(content(path), data[:3000], "the file")
os.close(write_end)
PY
