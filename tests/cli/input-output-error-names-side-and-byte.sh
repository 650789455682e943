#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# EIO at the first, second and a later call of every method: an error, never a fallback; it names
# the side and the byte, what was delivered is right, and no byte is unaccounted for.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(MIB)
directory = scratch(next(iter(file_systems().values())))
path = file_with(data, f"{directory}/in.data")
out = f"{directory}/out.data"

# method, call, source kind, sink kind
TABLE = [("copy-range", "copy_file_range", "file", "file"),
         ("sendfile", "sendfile", "file", "file"), ("sendfile", "sendfile", "file", "tcp"),
         ("sendfile", "sendfile", "file", "pipe"),
         ("splice", "splice", "file", "file"), ("splice", "splice", "file", "pipe"),
         ("splice", "splice", "file", "tcp"), ("splice", "splice", "pipe", "file"),
         ("splice", "splice", "tcp", "file"), ("splice", "splice", "tcp", "tcp"),
         ("splice", "splice", "pipe", "pipe"),
         ("mmap-write", "WRITE", "file", "file"), ("mmap-write", "WRITE", "file", "tcp"),
         ("read-write", "WRITE", "file", "file"), ("read-write", "WRITE", "pipe", "tcp"),
         ("read-write", "WRITE", "tcp", "pipe"), ("read-write", "RECEIVE", "tcp", "file")]
GROUPS = {"WRITE": "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg",
          "RECEIVE": "recvfrom,recvmsg,read"}


def run(method, source, sink, rule, trace):
    """The command with a fault: how it ended, what arrived, what stayed in the source."""
    options, arguments, collector, rest = {}, [path], None, None
    if source == "pipe":
        options["stdin"], feeding = os.pipe()
        arguments = ["-"]
    elif source == "tcp":
        source_listener = tcp_listener()
        arguments = [tcp_address(source_listener)]
    if sink == "tcp":
        listener = tcp_listener()
        arguments.append(tcp_address(listener))
        collector = Collector(listener, True)
    elif sink == "pipe":
        read_end, write_end = os.pipe()
        arguments.append(f"fd:{write_end}")
        options["pass_fds"] = [write_end]
        collector = Collector(read_end)
    else:
        file_with(b"\xa5" * 2 * MIB, out)
        arguments.append(out)
    extra = [] if method == "auto" else [f"--method={method}"]
    # The ledger goes to a file of its own descriptor, as always; only the first failing call
    # counts.
    running = Traced(["copy", "--json", "--chunk=64K", *extra, *arguments],
                     inject=[rule] if rule else [],
                     trace=trace, **options)
    if source == "pipe":
        keep = options["stdin"]
        Feeder(feeding, data)
    elif source == "tcp":
        Feeder(source_listener.accept()[0], data)
    if sink == "pipe":
        os.close(write_end)
    result = running.finish()
    arrived = collector.result() if collector else content(out)
    if source == "pipe":
        rest = Collector(keep).result()
    return result, running.calls(), arrived, rest


def side_of(call):
    """Whose fault a failing call is, from its descriptors; None where both are possible."""
    if call.name == "splice":
        fields = [field for field in call.arguments.split(", ") if "<" in field]
        left, right = fields[0], fields[1]
        if "in.data" in left or "socket:" in left or "TCP" in left:
            return "source" if "pipe:" in right else None
        if "out.data" in right or "socket:" in right or "TCP" in right:
            return "sink"
        return None
    if call.name in WRITING:
        return "sink"
    if call.name in READING:
        return "source"
    return None


tested = 0
for method, call, source, sink in TABLE:
    names = GROUPS.get(call, call)
    for when in (1, 2, 5):
        what = f"{source} -> {sink}, {method}, EIO at call {when} of {call}"
        # The first calls of these names may be the loader's: count from the first that is ours.
        before = 0
        if call in GROUPS:
            _, calls, _, _ = run(method, source, sink, None, names)
            for each in calls:
                mine = re.search(r"in\.data|out\.data|socket:|TCP|UNIX|pipe:", each.arguments)
                if mine and each.value > 1000:
                    break
                before += 1
            per_name = {}
            for each in calls[:before]:
                per_name[each.name] = per_name.get(each.name, 0) + 1
            first = calls[before].name
            rule = f"{first}:error=EIO:when={per_name.get(first, 0) + when}"
        else:
            rule = f"{call}:error=EIO:when={when}"
        result, calls, arrived, rest = run(method, source, sink, rule, MOVING_CALLS)
        failed = [each for each in calls if each.injected]
        if not failed:
            check(when > 2, f"{what}: the fault never happened")
            continue
        tested += 1
        result.refused(1, r"input/output error", r"delivered")
        ledger = result.ledger()
        equal(ledger["error"]["errno"], "EIO", f"the error, {what}")
        equal(ledger["fallbacks"], [], f"fallbacks, {what}")
        side = side_of(failed[0])
        check(ledger["error"]["side"] in ((side,) if side else ("source", "sink", "pipe")),
              f"{what}: blames the {ledger['error']['side']}, but it was {failed[0]}")
        check(ledger["error"]["operation"] in (failed[0].name, "read", "write", "send", "recv",
                                               "splice",
                                               "copy_file_range", "sendfile", "recvmsg", "sendmsg"),
              f"the operation, {what}: {ledger['error']}")
        same_bytes(arrived, data[:ledger["delivered"]], f"delivered, {what}")
        if rest is not None:
            equal(ledger["taken"] + len(rest), len(data),
                  f"taken and the rest in the source, {what}")
        if source == "file":
            equal(ledger["lost"], 0, f"lost, {what}")
note(f"{tested} faults")
check(tested >= 40, f"only {tested} faults were made")
PY
