#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A symbolic link that leads nowhere is followed, and its target made; but not another user's link in a
# directory where anybody can put one (the kernel's rule, fs.protected_symlinks, whatever is set). What appears
# under the sink's name meanwhile is treated as if it had been there, and nothing else is replaced for it.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(100000)
source = file_with(data)
WORDS = ((), ("--atomic",), ("--resume",), ("--atomic=no",), ("--append",))
STAT = "?stat,?lstat,?stat64,?lstat64,?statx,?newfstatat,?fstatat64"


def refused(result, target):
    result.refused(1, r"cannot (open|follow the symbolic link) .*Permission denied")
    check(not os.path.exists(target), f"a foreign link was followed: {result}")


for words in WORDS:
    directory, elsewhere = scratch(), scratch()
    link, target = f"{directory}/link", f"{elsewhere}/target"
    os.symlink(target, link)
    os.chmod(directory, 0o1777)
    copy(*words, source, link).expect(0)  # our own
    same_bytes(content(target), data, f"{words}: our own link")
    os.unlink(target)
    if not ROOT:
        continue
    os.lchown(link, 65534, 65534)
    refused(copy(*words, source, link), target)
    # The second of two.
    os.symlink(link, f"{elsewhere}/first")
    refused(copy(*words, source, f"{elsewhere}/first"), target)
    os.unlink(f"{elsewhere}/first")
    # Of the directory's owner; or in a directory that is not everybody's, or none of whose names are protected.
    for owner, mode in ((65534, 0o1777), (0, 0o1775), (0, 0o777)):
        os.chown(directory, owner, 0)
        os.chmod(directory, mode)
        copy(*words, source, link).expect(0)
        same_bytes(content(target), data, f"{words}: in a directory of {owner}, {mode:o}")
        os.unlink(target)
    check(os.path.islink(link), "the link was replaced")


def meanwhile(words, out, calls, at, happens):
    """Something happens between the first look at the sink and the next call."""
    running = Traced(["copy", *words, source, out], trace=f"{STAT},?readlink,?readlinkat",
                     inject=[f"{calls}:delay_enter=3000000:when={at}"], prefix=("-P", out))
    running.until_returned(out)
    happens()
    return running.finish()


if shutil.which("strace"):
    for words in WORDS:
        directory, elsewhere = scratch(), scratch()
        out, victim = f"{directory}/out", file_with(b"of another", f"{elsewhere}/victim")
        before = os.stat(victim).st_ino

        def link_appears(user):
            os.symlink(victim, f"{directory}/new")
            os.lchown(f"{directory}/new", user, -1)
            os.rename(f"{directory}/new", out)

        def untouched(what):
            equal((content(victim), os.stat(victim).st_ino), (b"of another", before), f"{words}: {what}")
            no_leftovers(directory, "out")
            no_leftovers(elsewhere, "victim")

        # It was absent.
        if ROOT:
            os.chmod(directory, 0o1777)
            result = meanwhile(words, out, STAT, 2, lambda: link_appears(65534))
            result.refused(1, "cannot follow the symbolic link .*Permission denied")
            untouched("through a foreign link")
            os.unlink(out)
        # It was a file: only that one is replaced.
        if words in (("--atomic",), ("--resume",)):
            file_with(b"old", out)
            result = meanwhile(words, out, "?readlink,?readlinkat", 1, lambda: link_appears(-1))
            result.refused(1, "cannot follow the changing path")
            untouched("it was a file")
            os.unlink(out)
        # Our own: as if it had been there.
        meanwhile(words, out, STAT, 2, lambda: link_appears(-1)).expect(0)
        appended = b"of another" if words == ("--append",) else b""
        same_bytes(content(victim), appended + data, f"{words}: through a link of ours")
        if words not in (("--atomic",), ("--resume",)):
            equal(os.stat(victim).st_ino, before, f"{words}: it was replaced")
        no_leftovers(directory, "out")
        no_leftovers(elsewhere, "victim")
else:
    note("strace is not here: nothing happens meanwhile")
PY
