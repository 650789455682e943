#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --salvage: the bytes that were taken and not delivered, and no others: what was delivered, what
# was salvaged and what is still in the source make the whole.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(3 * MIB)
parked_somewhere = False


MAKE = {"pipe": os.pipe, "unix": unix_pair, "tcp": lambda: tcp_pair(16384, 16384)}

for method in ("auto", "splice", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    for source_kind in ("pipe", "unix", "tcp"):
        for kind, make in MAKE.items():
            what = f"{source_kind} -> {kind} that breaks, {method}"
            directory = scratch()
            saved = f"{directory}/saved"
            ours, theirs = make()
            if source_kind == "pipe":
                taking, feeding = os.pipe()
            else:
                feeding, taking = MAKE[source_kind]()
            running = start("copy", "--json", "--salvage", saved, *extra, f"fd:{fd_of(taking)}",
                            f"fd:{fd_of(theirs)}", pass_fds=[fd_of(taking), fd_of(theirs)])
            close(theirs)
            feeder = Feeder(feeding, data)
            got = b""
            wait_for(lambda: os.path.exists(saved) or not running.running(), f"the salvage file, {what}")
            time.sleep(0.05)
            if not running.running():
                running.finish().expect(*((1, 3) if method == "splice" else (0,)))
                continue
            while len(got) < 300000:
                got += os.read(fd_of(ours), 70000)
            settle(running)  # it has taken all it can
            close(ours)
            result = running.finish(10).refused(1, r"delivered")
            ledger = result.ledger()
            if ledger["parked"]:
                result.says(re.escape(saved))
            rest = Collector(taking).result()
            salvaged = content(saved) if os.path.exists(saved) else b""
            check(salvaged or not os.path.exists(saved), f"{what}: an empty salvage file stays")
            equal(len(salvaged), ledger["salvaged"], f"the salvage file and the ledger, {what}")
            equal(ledger["lost"], 0, f"lost, {what}")
            equal(ledger["taken"] + len(rest), len(data), f"taken and the rest, {what}")
            same_bytes(salvaged, data[ledger["delivered"]:ledger["taken"]], f"salvaged, {what}")
            same_bytes(rest, data[ledger["taken"]:], f"the rest in the source, {what}")
            same_bytes(got, data[:len(got)], f"what the sink's reader saw, {what}")
            parked_somewhere = parked_somewhere or salvaged
check(parked_somewhere, "no case had a parked byte: nothing was tested")

# Without it, the message says that they are lost and how they could have been kept.
read_end, write_end = os.pipe()
ours, theirs = unix_pair()
running = start("copy", "--json", "-", f"fd:{theirs.fileno()}", stdin=read_end,
                pass_fds=[theirs.fileno()])
theirs.close()
os.close(read_end)
Feeder(write_end, data)
settle(running)
ours.close()
result = running.finish(10).expect(1)
if result.ledger()["parked"]:
    equal(result.ledger()["lost"], result.ledger()["parked"], "lost without --salvage")
    result.says(r"not delivered|lost", r"--salvage")

# A success leaves no file; a file that can be read again has nothing to salvage.
directory = scratch()
path = file_with(data, f"{directory}/in")
copy("--salvage", f"{directory}/saved", "-", f"{directory}/out", input=data).expect(0)
no_leftovers(directory, "in", "out")
copy("--salvage", f"{directory}/saved", path, "fd:9").expect(1, 2)
no_leftovers(directory, "in", "out")

# A file that is there is somebody's: never overwritten, never removed.
for saved in ("in", "out", "other"):
    for name in ("out", "other"):
        file_with(b"precious", f"{directory}/{name}")
    copy("--salvage", f"{directory}/{saved}", "-", f"{directory}/out", input=data).refused(
        1, re.escape(f"{directory}/{saved}"), r"exists")
    same_bytes(content(path), data, "the source after that")
    equal(content(f"{directory}/out"), b"precious", "the sink after that")
    equal(content(f"{directory}/other"), b"precious", "the other file after that")
os.unlink(f"{directory}/other")
os.unlink(f"{directory}/out")
copy("--salvage", f"{directory}/out", path, f"{directory}/out").refused(2, r"salvage")
no_leftovers(directory, "in")
file_with(b"precious", f"{directory}/out")

# One that cannot be made is said before a byte moves.
read_end, write_end = os.pipe()
os.write(write_end, b"12345")
os.unlink(f"{directory}/out")
copy("--salvage", f"{directory}/nowhere/saved", "-", f"{directory}/out", stdin=read_end).refused(
    1, re.escape(f"{directory}/nowhere/saved"), r"no such file")
no_leftovers(directory, "in")
os.close(write_end)
equal(Collector(read_end).result(), b"12345", "the source after a salvage file that cannot be made")
PY
