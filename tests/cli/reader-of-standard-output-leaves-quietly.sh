#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# When the reader of standard output leaves, the command dies of SIGPIPE without a word, as other
# filters do: `sluice copy … - | head -c1`. Where SIGPIPE is ignored, it is an error with a
# message.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
path = sparse_file(64 * MIB)
methods = ["auto", "splice", "sendfile", "mmap-write", "read-write"]
for method in methods:
    extra = [] if method == "auto" else [f"--method={method}"]
    for source in (path, "zero:", "-"):
        if source == "-" and method in ("sendfile", "mmap-write"):
            continue
        if source == "zero:" and method in ("sendfile", "mmap-write"):
            continue
        options = {}
        if source == "-":
            options["stdin"], write_end = os.pipe()
            Feeder(write_end, bytes(4 * MIB))
        read_end, options["stdout"] = os.pipe()
        running = start("copy", *extra, source, "-", **options)
        os.close(options["stdout"])
        if source == "-":
            os.close(options["stdin"])
        os.read(read_end, 1)
        os.close(read_end)
        result = running.finish(10)
        equal(result.killed_by, signal.SIGPIPE, f"killed by; {result}")
        equal(result.err, "", f"said to standard error by {result}")

# What is printed there at the end: the same.
small = file_with(random_bytes(100000))
for words in (("copy", "--json", small, "null:"), ("copy", "--checksum=xxh3", small, "null:"), ("explain", small, "null:"),
              ("copy", "--help")):
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = start(*words, stdout=write_end).finish(10)
    os.close(write_end)
    equal((result.killed_by, result.err), (signal.SIGPIPE, ""), f"killed by, and said: {words}; {result}")

# The shell's view of the same.
program = f"{shlex.join(SLUICE)} copy zero: - | head -c1 >/dev/null; echo ${{PIPESTATUS[0]}}"
said = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=LIMIT)
equal((said.stdout, said.stderr), ("141\n", ""), "status and message in a pipeline")

# A parent that ignores SIGPIPE has its reasons: then it is an error.
read_end, write_end = os.pipe()
os.close(read_end)
result = copy(path, "-", stdout=write_end,
              before=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN))
result.refused(1, r"broken pipe", r"delivered")
for words in (("copy", "--json", small, "null:"), ("explain", small, "null:"), ("copy", "--help"), ("--help",), ("--version",)):
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = start(*words, stdout=write_end, before=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN)).finish(10)
    os.close(write_end)
    equal((result.killed_by, result.status), (0, 1), f"{words}; {result}")
    matches(result.err, r"[Bb]roken pipe", f"{words}")
PY
