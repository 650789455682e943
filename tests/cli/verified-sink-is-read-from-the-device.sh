#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --sync and --verify: the sink is on its device before it gets its name, what is read back comes
# past the page cache, a byte that differs is found and named, and nothing half-right appears.
# timeout: 120
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
SIZE = 3 * MIB + 1234


def sinks_of(running, name):
    """The command's own descriptor of the file that it writes."""
    for fd in os.listdir(f"/proc/{running.pid}/fd"):
        try:
            if name in os.readlink(f"/proc/{running.pid}/fd/{fd}"):
                return f"/proc/{running.pid}/fd/{fd}"
        except OSError:
            continue
    return None


for name, directory in file_systems().items():
    source, sink = f"{directory}/source", f"{directory}/sink"
    data = random_bytes(SIZE)
    file_with(data, source)
    for extra in ([], ["--atomic"], ["--offset=source=77"], ["--offset=sink=77"],
                  ["--offset=source=4096", "--length=100001"], ["--append"]):
        found = copy("--verify", "--json", *extra, source, sink).expect(0).ledger()
        check(found.get("verified") is True, f"{name} {extra}: {found}")
    equal(copy("--json", source, sink).expect(0).ledger().get("verified"), None, "not asked for")
    os.unlink(sink)

# What is done for it: the sink's bytes, then its name; and it is read back past the cache.
directory = on("ext4")
source, sink = file_with(random_bytes(SIZE)), f"{directory}/sink"
trace = f"{scratch()}/trace"
TRACED = ["strace", "-f", "-o", trace, "-y", "-e",
          "trace=fsync,fdatasync,linkat,renameat,renameat2,rename,openat,pread64,pwrite64,write"]


def run_traced(*words, inject=()):
    command = [*TRACED, *[word for rule in inject for word in ("-e", f"inject={rule}")],
               os.environ["SLUICE"], "copy", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=TRACEABLE)
    with open(trace, errors="replace") as file:
        return done, file.read()


if shutil.which("strace"):
    done, seen = run_traced("--sync", source, sink)
    equal(done.returncode, 0, done.stderr)
    order = re.findall(r"(fsync|linkat)\(", seen)
    equal(order, ["fsync", "linkat", "fsync"], f"bytes, name, directory: {seen}")
    os.unlink(sink)
    done, seen = run_traced("--verify", source, sink)
    equal(done.returncode, 0, done.stderr)
    matches(seen, r'openat\(.*"/proc/self/fd/\d+", O_RDONLY[A-Z_|]*O_DIRECT', "past the cache")
    os.unlink(sink)
    preads = re.findall(r"pread64\(\d+<([^>]*)", seen)
    first = 1 + next(i for i, path in enumerate(preads) if path.startswith(directory))
    # The device says no.
    for rule in ("fsync:error=EIO:when=1", "fsync:error=ENOSPC:when=1", "fsync:error=EDQUOT:when=1"):
        errno_word = rule.split("=")[1].split(":")[0]
        for words in (("--sync",), ("--verify",)):
            done, seen = run_traced(*words, source, sink, inject=[rule])
            equal(done.returncode, 1, f"{rule}: {done.stderr}")
            matches(done.stderr, "cannot sync", rule)
            no_leftovers(directory)
    done, seen = run_traced("--sync", source, sink, inject=["fsync:error=EIO:when=2"])
    equal(done.returncode, 1, f"the directory: {done.stderr}")
    matches(done.stderr, "directory of", "the directory")
    os.unlink(sink)
    done, seen = run_traced("--verify", source, sink, inject=[f"pread64:error=EIO:when={first + 1}+"])
    equal(done.returncode, 1, f"reading back: {done.stderr}")
    no_leftovers(directory)

    # A byte that is not what was written: changed while the sink is being synced.
    for atomic in (True, False):
        if not atomic:
            file_with(b"old", sink)
        running = subprocess.Popen(
            ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync:delay_exit=1500000",
             "-e", "trace=fsync", os.environ["SLUICE"], "copy", "--verify", "--json", source, sink],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=TRACEABLE)
        deadline = time.monotonic() + 20
        changed = False
        while time.monotonic() < deadline and not changed:
            for pid in os.listdir("/proc"):
                try:
                    if not pid.isdigit() or "sluice" not in os.readlink(f"/proc/{pid}/exe"):
                        continue
                    for fd in os.listdir(f"/proc/{pid}/fd"):
                        link = os.readlink(f"/proc/{pid}/fd/{fd}")
                        path = f"/proc/{pid}/fd/{fd}"
                        if link.startswith(directory) and os.stat(path).st_size == SIZE:
                            time.sleep(0.5)  # the bytes are there; they are being synced
                            with open(path, "r+b") as file:
                                file.seek(2 * MIB + 5)
                                byte = file.read(1)
                                file.seek(2 * MIB + 5)
                                file.write(bytes([byte[0] ^ 1]))
                                file.flush()
                                os.fsync(file.fileno())
                            changed = True
                except OSError:
                    continue
            time.sleep(0.01)
        out, err = running.communicate(timeout=30)
        check(changed, "the sink was not seen in time")
        equal(running.returncode, 4, f"atomic {atomic}: {err}")
        matches(err, f"byte {2 * MIB + 5} ", "which byte")
        ledger = json.loads(out)
        equal(ledger["error"]["operation"], "verify", "operation")
        check("verified" not in ledger, "verified, it says")
        if atomic:
            no_leftovers(directory)

# What cannot be synced or read again is said before a byte moves.
result = copy("--sync", source, "null:").expect(1)
matches(result.err, "sync", "a device")
result = copy("--verify", "-", sink, input=b"bytes").expect(1)
matches(result.err, "verify", "a pipe")
PY
