#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Few descriptors, a limit on the size of files, a stop and a continuation, no /proc: the bytes are
# right, or the message is, and nothing is left behind.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"
skip_under_sanitizer "it needs descriptors and memory of its own"

scenario <<'PY'
data = random_bytes(300000)
directory = scratch()
os.chmod(directory, 0o777)
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"


def limited(number, value):
    def before():
        resource.setrlimit(number, (value, value))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # python ignores it
    return before


# No private pipe to be had: auto goes through memory.
for limit in (4, 5, 6, 8):
    few = limited(resource.RLIMIT_NOFILE, limit)
    copy("-", out, input=data, before=few).expect(0)
    same_bytes(content(out), data, f"with {limit} descriptors")
    os.unlink(out)
copy("--method=splice", "-", out, input=data, before=limited(resource.RLIMIT_NOFILE, 4)).refused(
    1, r"too many open files")

# A file that may not get so large.
small = limited(resource.RLIMIT_FSIZE, 100000)
for method in ("auto",) + METHODS_AND_DIRECT + ("bypass",):
    extra = ([] if method == "auto" else ["--cache=bypass"] if method == "bypass"
             else [f"--method={method}"])
    if os.path.exists(out):
        os.unlink(out)
    copy(*extra, path, out, before=small).refused(
        1, r"file too large", re.escape(out), r"delivered")
    no_leftovers(directory, "in")
    file_with(b"\xa5" * 90000, out)
    copy(*extra, path, out, before=small).refused(1, r"file too large")
    same_bytes(content(out), data[:100000], f"an existing file at its limit, {method}")
os.unlink(out)

# By whole blocks, wherever the limit is, from a file and from a pipe; at the limit itself all is well.
for name, place in file_systems().items():
    if name in ("tmpfs", "fuse", "fuse-direct"):
        continue
    sink = f"{place}/out"
    for limit in (4095, 4096, 5001, 99999, 131072, len(data) - 1):
        for words, given in ((("--method=direct", path), None), (("--cache=bypass", path), None),
                             (("--method=direct", "-"), data)):
            copy(*words, sink, "--atomic=no", input=given,
                 before=limited(resource.RLIMIT_FSIZE, limit)).refused(1, r"file too large")
            same_bytes(content(sink), data[:limit], f"{name}: {words}, at {limit}")
            os.unlink(sink)
    for words, given in ((("--method=direct", path), None), (("--method=direct", "-"), data)):
        copy(*words, sink, input=given, before=limited(resource.RLIMIT_FSIZE, len(data))).expect(0)
        same_bytes(content(sink), data, f"{name}: {words}, as large as it may be")
        os.unlink(sink)

# Stopped and continued.
running = start("copy", "--rate", "600K", path, out)
for _ in range(3):
    time.sleep(0.05)
    running.signal(signal.SIGSTOP)
    time.sleep(0.05)
    running.signal(signal.SIGCONT)
running.finish().expect(0)
same_bytes(content(out), data, "stopped and continued")
os.unlink(out)

# Without /proc a new file gets its name some other way, and terminals cannot be reopened.
if not ROOT or os.environ.get("SLUICE_SANITIZER"):
    note("without /proc is tried by the plain round of root; a sanitizer needs it")
else:
    bare = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    for prefix in (bare, bare + nobody):
        copy(path, out, prefix=prefix).expect(0)
        same_bytes(content(out), data, f"without /proc: {prefix[-1]}")
        no_leftovers(directory, "in", "out")
        os.unlink(out)
        master, slave = raw_terminal()
        collector = Collector(master)
        copy(path, f"fd:{slave}", pass_fds=[slave], prefix=prefix).expect(0)
        wait_for(lambda: len(collector.data) == len(data), "all bytes on a terminal, without /proc")
        same_bytes(bytes(collector.data), data, "a terminal, without /proc")
        os.close(slave)
PY
