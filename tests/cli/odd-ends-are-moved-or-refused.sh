#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Ends whose kernel interfaces have holes: files without a size, sealed memory, a full device,
# O_DIRECT with an unaligned tail. Moved right, or refused with the reason.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
directory = scratch()
out = f"{directory}/out"

# procfs and sysfs: a size of 0 or a page says nothing; copy_file_range says 0, and splice EINVAL
# for some.
sleeper = subprocess.Popen(["sleep", "60"], env={"A": "x" * 60000, "B": "y" * 50000,
                                                 "PATH": "/bin:/usr/bin"})
wait_for(lambda: len(proc(sleeper.pid, "environ")) > 100000 and state_of(sleeper.pid) == "S",
         "the sleeper to sleep")
time.sleep(0.05)
try:
    for path in ("/proc/cpuinfo", "/proc/filesystems", f"/proc/{sleeper.pid}/environ",
                 f"/proc/{sleeper.pid}/maps", f"/proc/{sleeper.pid}/cmdline",
                 "/proc/sys/kernel/ostype", "/sys/class/net/lo/address",
                 "/sys/kernel/mm/transparent_hugepage/enabled"):
        if not os.path.exists(path):
            continue
        for sink in ("file", "pipe", "tcp", "null"):
            for _ in range(3):  # what the kernel tells may change between two reads
                wanted = content(path)
                options, collector, target = {}, None, out
                if sink == "pipe":
                    read_end, options["stdout"] = os.pipe()
                    collector, target = Collector(read_end), "-"
                elif sink == "tcp":
                    listener = tcp_listener()
                    collector, target = Collector(listener, listener=True), tcp_address(listener)
                elif sink == "null":
                    target = "null:"
                running = start("copy", "--json", path, target, **options)
                if sink == "pipe":
                    os.close(options["stdout"])
                ledger = running.finish().expect(0).ledger()
                got = wanted
                if sink != "null":
                    got = collector.result() if collector else content(out)
                if got == wanted == content(path):
                    break
            same_bytes(got, wanted, f"{path} -> {sink}")
            if sink == "null":
                equal(ledger["delivered"], len(wanted), f"delivered, {path} -> null:")
finally:
    sleeper.kill()
    sleeper.wait()

data = random_bytes(10001)
path = file_with(data, f"{directory}/in")

# Memory that may not be written, or not grow.
for seals, what in ((F_SEAL_WRITE, "written"), (F_SEAL_GROW, "grown")):
    for method in ("auto",) + METHODS:
        extra = [] if method == "auto" else [f"--method={method}"]
        for source, options in ((path, {}), ("-", {"input": data})):
            if source == "-" and method in ("copy-range", "sendfile", "mmap-write"):
                continue
            fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
            os.write(fd, b"precious")
            os.lseek(fd, 0, os.SEEK_SET)
            fcntl.fcntl(fd, F_ADD_SEALS, seals)
            result = copy(*extra, source, f"fd:{fd}", pass_fds=[fd], **options)
            result.refused(1, rf"fd:{fd}")
            if method != "copy-range":  # that one is on another file system
                result.says(r"not permitted|sealed")
            if seals == F_SEAL_WRITE:
                equal(os.pread(fd, 100, 0), b"precious", "the sealed memory")
            os.close(fd)
# As a source it is as good as any.
fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
os.write(fd, data)
fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)
os.lseek(fd, 0, os.SEEK_SET)
copy(f"fd:{fd}", out, pass_fds=[fd]).expect(0)
same_bytes(content(out), data, "from sealed memory")

# A device that is always full.
for source, options in ((path, {}), ("-", {"input": data})):
    for method in ("auto", "read-write"):
        extra = [] if method == "auto" else [f"--method={method}"]
        result = copy("--json", *extra, source, "/dev/full", **options)
        result.refused(1, r"/dev/full", r"no space left on device", r"\b0 bytes|\b0 B|delivered")
        ledger = result.ledger()
        equal((ledger["delivered"], ledger["error"]["side"]), (0, "sink"), f"/dev/full, {method}")

# O_DIRECT, with a tail that is no whole block, from any kind of source.
place = file_systems().get("ext4")
if not place:
    note("SKIP: missing ext4: not set up here")
else:
    for size in (0, 1, 511, 512, 4096, 10001, MIB + 777):
        data = random_bytes(size)
        path = file_with(data, f"{place}/in")
        for kind in ("file", "pipe", "tcp"):
            sink = os.open(f"{place}/direct", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_DIRECT)
            flags = fcntl.fcntl(sink, fcntl.F_GETFL)
            arguments, options, fds = [path], {}, [sink]
            if kind == "pipe":
                arguments, options = ["-"], {"input": data}
            elif kind == "tcp":
                ours, theirs = tcp_pair()
                Feeder(ours, data, piece=1000)
                arguments, fds = [f"fd:{theirs.fileno()}"], [sink, theirs.fileno()]
            copy(*arguments, f"fd:{sink}", pass_fds=fds, **options).expect(0)
            same_bytes(content(f"{place}/direct"), data, f"{kind} -> O_DIRECT, {size} bytes")
            equal(fcntl.fcntl(sink, fcntl.F_GETFL), flags, "the flags of the O_DIRECT descriptor")
            os.close(sink)
        # And as a source.
        source = os.open(path, os.O_RDONLY | os.O_DIRECT)
        copy(f"fd:{source}", out, pass_fds=[source]).expect(0)
        same_bytes(content(out), data, f"O_DIRECT -> file, {size} bytes")
        os.close(source)
PY
