#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --atomic replaces a file by another: whoever could not read the old one cannot read the new one. The mode alone
# would not do: beside an access list it says how much the list grants at most, and a directory can
# give new files a list of its own. Where it may not be replaced, that is said before a byte moves.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
import errno
import struct

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER, NOBODY = 1, 2, 4, 8, 16, 32, 0xffffffff


def access_list(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def list_of(path):
    try:
        return os.getxattr(path, ACCESS)
    except OSError as error:
        check(error.errno in (errno.ENODATA, errno.EOPNOTSUPP), f"the list of {path}: {error}")
        return None


# The group has nothing, one user has all; the mode says 0660 all the same.
one_user = access_list((USER_OBJ, 6, NOBODY), (USER, 6, 12345), (GROUP_OBJ, 0, NOBODY),
                       (MASK, 6, NOBODY), (OTHER, 0, NOBODY))
data = random_bytes(100000)
source = file_with(data)
tried = 0
for name, directory in file_systems().items():
    out = file_with(b"old", f"{directory}/out")
    try:
        os.setxattr(out, ACCESS, one_user)
        os.setxattr(out, "user.origin", b"elsewhere")
    except OSError as error:
        note(f"{name} has no access lists or attributes: {error}")
        copy("--atomic", source, out).expect(0)
        same_bytes(content(out), data, f"{name}: without lists")
        continue
    tried += 1
    for words in (("--atomic",), ("--resume",)):
        before = os.stat(out)
        copy(*words, source, out).expect(0)
        same_bytes(content(out), data, name)
        check(os.stat(out).st_ino != before.st_ino, f"{name}: {words} did not replace the file")
        equal(oct(os.stat(out).st_mode), oct(before.st_mode), f"{name}: {words}: the mode")
        equal(list_of(out), one_user, f"{name}: {words}: the access list")
        equal(os.getxattr(out, "user.origin"), b"elsewhere", f"{name}: {words}: an attribute")
    # Without a list, where the directory gives one to what is made in it.
    os.setxattr(directory, DEFAULT, one_user)
    os.removexattr(out, ACCESS)
    os.chmod(out, 0o640)
    copy("--atomic", source, out).expect(0)
    equal(list_of(out), None, f"{name}: a list that the old file had not")
    equal(oct(os.stat(out).st_mode & 0o7777), "0o640", f"{name}: the mode in that directory")
    # What is new, and not a replacement, is as any new file there.
    copy(source, f"{directory}/new").expect(0)
    file_with(b"", f"{directory}/made")
    equal(list_of(f"{directory}/new"), list_of(f"{directory}/made"), f"{name}: a new file's list")
    equal(os.stat(f"{directory}/new").st_mode, os.stat(f"{directory}/made").st_mode,
          f"{name}: a new file's mode")
    no_leftovers(directory, "out", "new", "made")

# A group that we cannot give: then ours gets what everybody has, and no more.
if ROOT:
    directory = scratch()
    os.chmod(directory, 0o777)
    out = file_with(b"old", f"{directory}/out")
    os.chmod(out, 0o6662)
    copy("--atomic", "-", out, input=data, before=as_nobody).expect(0)
    same_bytes(content(out), data, "as nobody")
    equal(oct(os.stat(out).st_mode & 0o7777), "0o622", "the mode of another group's file")
    equal(os.stat(out).st_uid, 65534, "the owner")
    # Whom the group or the list kept out is one of the others now.
    for before, after in ((0o606, 0o600), (0o646, 0o644), (0o626, 0o622), (0o662, 0o622),
                          (0o666, 0o666)):
        os.unlink(out)
        file_with(b"old", out)
        os.chown(out, 0, 4)
        os.chmod(out, before)
        for words in ("--atomic", "--resume=continue"):
            copy(words, "-", out, input=data, before=as_nobody).expect(0)
            now = os.stat(out)
            equal((now.st_uid, now.st_gid), (65534, 65534), f"{before:o}: whose it is")
            equal(oct(now.st_mode & 0o7777), oct(after), f"{before:o}: the mode")
    for name, place in file_systems().items():
        for entries, after in ((((USER, 0, 1001), (GROUP_OBJ, 6, NOBODY)), 0o600),
                               (((USER, 6, 1001), (GROUP_OBJ, 4, NOBODY)), 0o644),
                               (((GROUP_OBJ, 6, NOBODY), (GROUP, 2, 1001)), 0o622),
                               (((USER, 7, 1001), (GROUP_OBJ, 7, NOBODY)), 0o666)):
            os.chmod(place, 0o777)
            listed = file_with(b"old", f"{place}/listed")
            try:
                os.setxattr(listed, ACCESS, access_list(
                    (USER_OBJ, 6, NOBODY), *entries, (MASK, 6, NOBODY), (OTHER, 6, NOBODY)))
            except OSError as error:
                note(f"{name} has no access lists: {error}")
                os.unlink(listed)
                break
            copy("--atomic", "-", listed, input=data, before=as_nobody).expect(0)
            same_bytes(content(listed), data, f"{name}: {entries}")
            equal(oct(os.stat(listed).st_mode & 0o7777), oct(after), f"{name}: without {entries}")
            equal(list_of(listed), None, f"{name}: the list")
            os.unlink(listed)
    # Where we can, it keeps its owner and group.
    os.chown(out, 12, 34)
    os.chmod(out, 0o4750)
    copy("--atomic", source, out).expect(0)
    now = os.stat(out)
    equal((now.st_uid, now.st_gid, oct(now.st_mode & 0o7777)), (12, 34, "0o4750"), "as root")
    # A file that may be written, but not replaced.
    os.chmod(directory, 0o1777)
    os.chown(out, 0, 0)
    os.chmod(out, 0o666)
    file_with(b"old", out)
    source = file_with(data, f"{scratch()}/for-all")
    os.chmod(os.path.dirname(source), 0o755)
    for words in ("--atomic", "--resume"):
        copy(words, source, out, before=as_nobody).refused(1, r"cannot replace .*not permitted")
        equal(content(out), b"old", "in a sticky directory")
        no_leftovers(directory, "out")
    os.chown(directory, 65534, 65534)
    copy("--atomic", source, out, before=as_nobody).expect(0)
    same_bytes(content(out), data, "in our own sticky directory")
    # Something is mounted on it, as on /etc/hosts in a container: it can be rewritten, not replaced.
    mounted = scratch()
    over, out = file_with(b"over", f"{scratch()}/over"), file_with(b"old", f"{mounted}/out")
    in_mount = ["unshare", "--mount", "--propagation=private", "sh", "-c",
                'mount --bind "$0" "$1" && shift && exec "$@"', over, out]
    if subprocess.run(in_mount + ["true"], check=False, capture_output=True).returncode == 0:
        for words in ("--atomic", "--resume"):
            result = copy(words, "--json", source, out, prefix=in_mount)
            result.refused(1, r"cannot replace .*busy").never_says("keeps")
            equal(result.ledger()["delivered"], 0, f"{words}: over a mount")
            equal((content(over), content(out)), (b"over", b"old"), f"{words}: over a mount")
            no_leftovers(mounted, "out")
        copy(source, out, prefix=in_mount).expect(0)
        same_bytes(content(over), data, "in place, what is mounted")
        equal(content(out), b"old", "what it is mounted on")
    else:
        note("nothing can be mounted here")
    marked = on("ext4")
    out = file_with(b"old", f"{marked}/out")
    if shutil.which("chattr"):
        for flag, path in (("a", out), ("a", marked), ("i", marked)):
            if subprocess.run(["chattr", f"+{flag}", path], check=False).returncode != 0:
                continue
            try:
                copy("--atomic", source, out).refused(1, r"not permitted")
                equal((content(out), os.listdir(marked)), (b"old", ["out"]), f"{flag} of {path}")
            finally:
                subprocess.run(["chattr", f"-{flag}", path], check=True)
check(tried or not os.environ.get("SLUICE_FS"), "no file system has access lists here")
PY
