#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A file system that gets full: the message says so with what was delivered, a new sink leaves
# nothing behind and an existing one holds what was delivered.
# serial: fills the one small file system
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
place = os.environ.get("SLUICE_SMALLFS")
if not place:
    skip("missing small: not set up here")
directory = scratch(place)
data = random_bytes(30 * MIB)
path = file_with(data)
for method in ("auto", "sendfile", "splice", "mmap-write", "read-write"):
    extra = [] if method == "auto" else [f"--method={method}"]
    for source in ("file", "pipe"):
        if source == "pipe" and method in ("sendfile", "mmap-write"):
            continue
        for before in ("absent", "present"):
            what = f"{source} -> full disk, sink {before}, {method}"
            out = f"{directory}/out"
            if before == "present":
                file_with(b"old", out)
            saved = os.path.join(scratch(), "saved")
            options = {"stdin": None}
            read_end, write_end = os.pipe()
            running = start("copy", "--json", "--salvage", saved, *extra,
                            path if source == "file" else "-", out, stdin=read_end)
            if source == "pipe":
                Feeder(write_end, data)
            else:
                os.close(write_end)
            result = running.finish(60)
            result.refused(1, r"no space left on device", re.escape(out), r"delivered")
            ledger = result.ledger()
            equal((ledger["error"]["side"], ledger["error"]["errno"]), ("sink", "ENOSPC"), what)
            rest = Collector(read_end).result()
            if before == "absent" and source == "file":
                no_leftovers(directory)
            else:
                no_leftovers(directory, "out")
                delivered = content(out)
                same_bytes(delivered, data[:ledger["delivered"]], f"the prefix, {what}")
                if source == "pipe":
                    salvaged = content(saved) if os.path.exists(saved) else b""
                    same_bytes(delivered + salvaged + rest, data,
                               f"prefix, salvaged and rest, {what}")
                os.unlink(out)

# The salvage file's own space is allocated before: no room, no transfer.
filler = f"{directory}/filler"
with open(filler, "wb") as f:
    try:
        while True:
            f.write(bytes(65536))
            f.flush()
    except OSError:
        pass
read_end, write_end = os.pipe()
os.write(write_end, b"12345")
result = copy("--salvage", f"{directory}/saved", "-", os.path.join(scratch(), "out"),
              stdin=read_end)
result.refused(1, r"no space left", re.escape(f"{directory}/saved"))
os.close(write_end)
equal(Collector(read_end).result(), b"12345", "the source, when there is no room to salvage")
no_leftovers(directory, "filler")
os.unlink(filler)
PY
