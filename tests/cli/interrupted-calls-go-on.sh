#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# EINTR from every other call that moves bytes or waits: nothing is lost, doubled or given up.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(700001)
directory = scratch(next(iter(file_systems().values())))
path, out = file_with(data, f"{directory}/in"), f"{directory}/out"
CALLS = {"copy-range": ["copy_file_range"], "sendfile": ["sendfile"], "splice": ["splice"],
         "mmap-write": [], "read-write": [], "auto": ["splice", "sendfile", "copy_file_range"]}
WAITS = "poll,ppoll,pselect6,epoll_wait,epoll_pwait,epoll_pwait2"
seen = 0
for method, calls in CALLS.items():
    extra = [] if method == "auto" else [f"--method={method}"]
    for sink in ("file", "tcp", "pipe"):
        for source in ("file", "pipe", "tcp"):
            if method in ("copy-range", "sendfile", "mmap-write") and source != "file":
                continue
            if method == "copy-range" and sink != "file":
                continue
            what = f"{source} -> {sink}, {method}"
            options, arguments, collector = {}, [path], None
            if source == "pipe":
                options["stdin"], feeding = os.pipe()
                arguments = ["-"]
            elif source == "tcp":
                source_listener = tcp_listener()
                arguments = [tcp_address(source_listener)]
            if sink == "tcp":
                listener = tcp_listener()
                arguments.append(tcp_address(listener))
                collector = Collector(listener, True, piece=10000)
            elif sink == "pipe":
                read_end, options["stdout"] = os.pipe()
                arguments.append("-")
                collector = Collector(read_end, piece=10000)
            else:
                arguments.append(out)
            # read and write of a socket are sendto and recvfrom too; of files and pipes they are
            # also
            # what the loader uses, so there only the writes, which nobody makes before.
            rules = [f"{call}:error=EINTR:when=1+2" for call in calls]
            rules += [f"{call}:error=EINTR:when=1+2" for call in
                      ("sendto", "sendmsg", "recvfrom", "recvmsg", "write", "writev", "pwrite64")
                      if method in ("read-write", "mmap-write")]
            rules += [f"{WAITS}:error=EINTR:when=1+2"]
            running = Traced(["copy", "--chunk=16K", *extra, *arguments], inject=rules,
                             trace=MOVING_CALLS + "," + WAITS, **options)
            if source == "pipe":
                os.close(options["stdin"])
                Feeder(feeding, data, piece=20000)
            elif source == "tcp":
                Feeder(source_listener.accept()[0], data, piece=20000)
            if sink == "pipe":
                os.close(options["stdout"])
            running.finish().expect(0)
            same_bytes(collector.result() if collector else content(out), data, what)
            injected = sum(call.injected for call in running.calls())
            check(injected > 0, f"{what}: no call was interrupted: nothing was tested")
            seen += injected
            if method != "auto":
                used = {call.name for call in running.calls() if call.value > 16000}
                check(used & USED_BY[method] or method == "read-write", f"{what}: moved by {used}")
note(f"{seen} calls were interrupted")
PY
