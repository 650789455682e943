#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A sink that did not exist appears under its name at the end and not before, with the mode that
# the umask gives; a failure leaves nothing. A source that cannot be read again leaves the
# delivered prefix.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(MIB)


def on_one(entry):
    name, place = entry
    directory = scratch(place)
    path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
    running = start("copy", "--rate", "2M", path, out, umask=0o027)
    running.until_moving(directory)
    check(running.running() and not os.path.exists(out), f"{name}: the sink is there in the middle")
    running.finish().expect(0)
    same_bytes(content(out), data, name)
    equal(oct(os.stat(out).st_mode & 0o7777), "0o640", f"{name}: mode with umask 027")
    equal(os.stat(out).st_uid, os.geteuid(), f"{name}: owner")
    no_leftovers(directory, "in", "out")
    os.unlink(out)

    # A failure (the source gets too short) and a signal: nothing stays.
    running = start("copy", "--rate", "2M", path, out)
    running.until_moving(directory)
    os.truncate(path, 700000)
    running.finish().expect(1)
    no_leftovers(directory, "in")
    file_with(data, path)
    running = start("copy", "--rate", "2M", path, out)
    running.until_moving(directory)
    running.signal(signal.SIGTERM)
    running.finish().expect(143)
    no_leftovers(directory, "in")

    # --atomic=no writes in place.
    running = start("copy", "--rate", "2M", "--atomic=no", path, out)
    wait_for(lambda: os.path.exists(out) and os.path.getsize(out) > 0, f"{name}: a sink in place",
             2)
    running.signal(signal.SIGTERM)
    result = running.finish().expect(143)
    same_bytes(content(out), data[:os.path.getsize(out)], f"{name}: the prefix in place")
    os.unlink(out)

    # A pipe cannot be read again: the prefix is kept.
    read_end, write_end = os.pipe()
    running = start("copy", "--json", "-", out, stdin=read_end)
    os.close(read_end)
    os.write(write_end, data[:50000])
    running.until_moving(directory)
    running.signal(signal.SIGTERM)
    ledger = running.finish().expect(143).ledger()
    same_bytes(content(out), data[:ledger["delivered"]], f"{name}: the prefix from a pipe")
    no_leftovers(directory, "in", "out")
    os.unlink(out)

    # Somebody makes the name meanwhile: the bytes arrive, or it is an error; never a mixture.
    running = start("copy", "--rate", "4M", path, out)
    running.until_moving(directory)
    file_with(b"another", out)
    result = running.finish()
    if result.status == 0:
        same_bytes(content(out), data, f"{name}: the name was taken meanwhile")
    else:
        result.refused(1, re.escape(out), r"exist")
        equal(content(out), b"another", f"{name}: the other's file")
    no_leftovers(directory, "in", "out")


each(on_one, file_systems().items())

# A symbolic link that leads nowhere: its target is made.
directory = scratch()
os.symlink("target", f"{directory}/link")
path = file_with(data, f"{directory}/in")
copy(path, f"{directory}/link").expect(0)
check(os.path.islink(f"{directory}/link"), "the link was replaced")
same_bytes(content(f"{directory}/target"), data, "the link's target")
no_leftovers(directory, "in", "link", "target")
PY
