#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Set-user-ID and set-group-ID are passed on to the file that replaces a program, but only when it is whole: what is
# being written has neither, nor what is kept of it. A write by anybody but root would take them away as well.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
def mode(path):
    return oct(os.stat(path).st_mode & 0o7777)


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (40 * KIB, resource.RLIM_INFINITY))


data = random_bytes(MIB)
source = file_with(data)
tried = 0
for name, directory in file_systems().items():
    out, partial = f"{directory}/out", f"{directory}/out.partial"
    file_with(b"old", out)
    os.chmod(out, 0o6755)
    if mode(out) != "0o6755":
        note(f"{name} has no such bits")
        continue
    tried += 1
    for words in (("--atomic",), ("--resume",)):
        for bits in (0o4755, 0o2750, 0o6711):
            os.chmod(out, bits)
            copy(*words, source, out).expect(0)
            same_bytes(content(out), data, f"{name}: {words}")
            equal(mode(out), oct(bits), f"{name}: {words}: the mode")
    # What is kept of it.
    os.chmod(out, 0o6755)
    copy("--resume", source, out, before=limited).expect(1).says("out.partial' keeps")
    check(os.path.getsize(partial) < MIB, f"{name}: no failure")
    equal(mode(partial), "0o755", f"{name}: what was kept")
    equal(mode(out), "0o6755", f"{name}: the old one")
    copy("--resume", source, out).expect(0)
    equal(mode(out), "0o6755", f"{name}: gone on with")
    # What is being written, where it has a name.
    running = start("copy", "--atomic", "--rate=4M", source, out)
    time.sleep(0.1)
    for other in leftovers(directory, "out"):
        equal(os.stat(f"{directory}/{other}").st_mode & 0o6000, 0, f"{name}: {other}, being written")
    running.finish().expect(0)
    equal(mode(out), "0o6755", f"{name}: after {running}")
    # It does not get its name.
    if shutil.which("strace"):
        result = traced("copy", "--resume", source, out, trace="?rename,?renameat,?renameat2",
                        inject=["?rename,?renameat,?renameat2:error=EBUSY"])
        result.expect(1).says("give its name")
        same_bytes(content(partial), data, f"{name}: kept without the name")
        equal(mode(partial), "0o755", f"{name}: kept without the name")
        os.unlink(partial)
    no_leftovers(directory, "out")
check(tried, "no file system has these bits")

if ROOT:  # of another user; he could have run part of it
    directory = scratch()
    out, partial = f"{directory}/su", f"{directory}/su.partial"
    file_with(b"old", out)
    os.chown(out, 1001, 1002)
    os.chmod(out, 0o6755)
    copy("--resume", source, out, before=limited).expect(1)
    equal((os.stat(partial).st_uid, mode(partial)), (1001, "0o755"), "another user's, kept")
    copy("--resume", source, out).expect(0)
    now = os.stat(out)
    equal((now.st_uid, now.st_gid, mode(out)), (1001, 1002, "0o6755"), "another user's")
PY
