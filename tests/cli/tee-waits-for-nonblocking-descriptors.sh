#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Another program has made our descriptors O_NONBLOCK: EAGAIN is waited for, without spinning, also under the
# name tee. The checksum is that of what was read. Flags are left as they were found.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(3 * MIB)
os.symlink(SLUICE[-1], f"{scratch()}/tee") if False else None
link = os.path.join(scratch(), "tee")
os.symlink(os.path.abspath(SLUICE[-1]), link)
for alone in (False, True):
    read_end, write_end = os.pipe()
    out_end, out = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(out, False)
    path = os.path.join(scratch(), "file")
    words = [link, path] if alone else SLUICE + ["tee", path]
    process = subprocess.Popen(words, stdin=read_end, stdout=out)
    started.append(process)
    process_ = type("P", (), {"pid": process.pid, "running": lambda self: process.poll() is None,
                              "err": lambda self: ""})()
    time.sleep(0.2)
    idle_costs_nothing(process_, "an empty O_NONBLOCK input")
    feeder = Feeder(write_end, data, piece=100000)
    wait_for(lambda: state_of(process.pid) == "S", "it to wait for its output")
    time.sleep(0.2)
    idle_costs_nothing(process_, "a full O_NONBLOCK output")
    flags = fcntl.fcntl(out, fcntl.F_GETFL), fcntl.fcntl(read_end, fcntl.F_GETFL)
    check(all(flag & os.O_NONBLOCK for flag in flags), "O_NONBLOCK was taken away")
    os.close(out)
    collector = Collector(out_end)
    same_bytes(collector.result(), data, "standard output")
    equal(process.wait(10), 0, "the status")
    same_bytes(content(path), data, "the file")
    os.close(read_end)

result = sluice("tee", "--checksum=sha256", input=data).expect(0)
if "no such checksum" not in result.err:
    result.says(hashlib.sha256(data).hexdigest())

# Blocking ones stay blocking.
read_end, write_end = os.pipe()
out_end, out = os.pipe()
running = start("tee", stdin=read_end, stdout=out)
settle(running)
check(os.get_blocking(read_end) and os.get_blocking(out), "O_NONBLOCK was set on inherited pipes")
equal(fcntl.fcntl(out, F_GETPIPE_SZ), 65536, "the size of an inherited pipe")
os.close(write_end)
running.finish().expect(0)
PY
