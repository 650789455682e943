#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A kernel that lacks a call, or refuses it in the middle: the transfer goes on at the exact byte
# by the next method, and the ledger names the call, the errno and the byte.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(MIB + 5)
directory = scratch(next(iter(file_systems().values())))
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
deny = helper("seccomp-deny")


def denied(calls, *arguments, **options):
    return copy("--json", *arguments, prefix=[deny, calls, "--"], **options)


def told(ledger, call, error, what, at=None):
    found = [each for each in ledger["fallbacks"] if each["call"] == call
             and each["error"] == error]
    if check(found, f"{what}: no fallback from {call} with {error} in {ledger['fallbacks']}"):
        if at is not None:
            equal(found[0]["at"], at, f"the byte, {what}")
    return found


# Nothing but read and write is there, from the first byte on.
for error in ("ENOSYS", "EPERM"):
    rules = ",".join(f"{call}={error}" for call in ("splice", "sendfile", "copy_file_range"))
    for source in ("file", "pipe", "tcp"):
        for sink in ("file", "pipe", "tcp"):
            what = f"{source} -> {sink} without splice, sendfile, copy_file_range ({error})"
            options, arguments, collector = {}, [path], None
            if source == "pipe":
                options["stdin"], feeding = os.pipe()
                arguments = ["-"]
            elif source == "tcp":
                listener = tcp_listener()
                arguments = [tcp_address(listener)]
            if sink == "tcp":
                sink_listener = tcp_listener()
                arguments.append(tcp_address(sink_listener))
                collector = Collector(sink_listener, True)
            elif sink == "pipe":
                read_end, options["stdout"] = os.pipe()
                arguments.append("-")
                collector = Collector(read_end)
            else:
                arguments.append(out)
            running = start("copy", "--json", *arguments, prefix=[deny, rules, "--"], **options)
            if source == "pipe":
                os.close(options["stdin"])
                Feeder(feeding, data)
            elif source == "tcp":
                Feeder(listener.accept()[0], data)
            if sink == "pipe":
                os.close(options["stdout"])
            result = running.finish().expect(0)
            same_bytes(collector.result() if collector else content(out), data, what)
            ledger = result.ledger()
            check(ledger["fallbacks"], f"{what}: no fallback is told")
            for fallback in ledger["fallbacks"]:
                equal((fallback["error"], fallback["at"]), (error, 0), f"a fallback, {what}")
            check({leg["method"] for leg in ledger["legs"] if leg["bytes"]} <= {"read-write",
                                                                                "mmap-write"},
                  f"{what}: moved by {ledger['legs']}")
            check(ledger["method"] in ("read-write", "mmap-write"),
                  f"{what}: ends with {ledger['method']}")

# By name there is no fallback: an error that names the call.
for method, call in (("splice", "splice"), ("sendfile", "sendfile"),
                     ("copy-range", "copy_file_range")):
    result = denied(f"{call}=ENOSYS", f"--method={method}", path, out)
    result.refused(1, rf"{call}|{method}", r"not implemented")

# In the middle, for each errno that says "not here".
for call, error in (("copy_file_range", "EXDEV"), ("copy_file_range", "EOPNOTSUPP"),
                    ("copy_file_range", "EINVAL"), ("copy_file_range", "ENOSYS"),
                    ("sendfile", "EINVAL"), ("sendfile", "ENOSYS"),
                    ("splice", "EINVAL"), ("splice", "ENOSYS")):
    for when in (1, 2, 4):
        options, arguments, collector = {}, [path, out], None
        if call == "sendfile":
            listener = tcp_listener()
            arguments, collector = [path, tcp_address(listener)], Collector(listener, True)
        elif call == "splice":
            options["stdin"], feeding = os.pipe()
            arguments = ["-", out]
        what = f"{call} says {error} at call {when}"
        running = Traced(["copy", "--json", "--chunk=64K", *arguments],
                         inject=[f"{call}:error={error}:when={when}+"], **options)
        if call == "splice":
            os.close(options["stdin"])
            Feeder(feeding, data)
        result = running.finish().expect(0)
        same_bytes(collector.result() if collector else content(out), data, what)
        calls = running.calls()
        if not any(each.injected for each in calls):
            note(f"{what}: this call is not what is used here first")
            continue
        ledger = result.ledger()
        found = told(ledger, call, error, what)
        if found and call != "splice":
            moved = 0
            for each in calls:
                if each.injected:
                    break
                moved += each.value if each.name == call and each.value > 0 else 0
            equal(found[0]["at"], moved, f"the byte, {what}")

# No private pipe to be had: the copy goes through memory, and says so. By name it is an error.
for call in ("pipe2", "pipe"):
    running = Traced(["copy", "--json", "-", out], trace=MOVING_CALLS + ",pipe,pipe2",
                     inject=["pipe2:error=EMFILE", "pipe:error=EMFILE"],
                     stdin=(ends := os.pipe())[0])
    os.close(ends[0])
    Feeder(ends[1], data)
    result = running.finish().expect(0)
    same_bytes(content(out), data, "without a private pipe")
    if any(each.injected for each in running.calls()):
        told(result.ledger(), "pipe2", "EMFILE", "without a private pipe", at=0)
listener = tcp_listener()
running = Traced(["copy", "--method=splice", tcp_address(listener), out],
                 trace=MOVING_CALLS + ",pipe2",
                 inject=["pipe2:error=EMFILE"])
Feeder(listener.accept()[0], data)
running.finish().refused(1, r"too many open files", r"pipe")
PY
