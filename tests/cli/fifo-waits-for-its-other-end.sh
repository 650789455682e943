#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A FIFO whose other end nobody has opened yet: the command waits for it, as cat and cp do, and can
# be ended meanwhile.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
data = random_bytes(200000)
directory = scratch()
path, out, fifo = file_with(data, f"{directory}/in"), f"{directory}/out", f"{directory}/fifo"
os.mkfifo(fifo)

# No writer is not the end of the source.
running = start("copy", fifo, out)
time.sleep(0.3)
check(running.running(), f"it did not wait for a writer: {running.err()}")
Feeder(os.open(fifo, os.O_WRONLY), data)
running.finish().expect(0)
same_bytes(content(out), data, "from a FIFO whose writer came late")

# A writer that opens and says nothing for a while.
running = start("copy", fifo, out)
writer = os.open(fifo, os.O_WRONLY)
time.sleep(0.2)
check(running.running(), f"it did not wait for the writer's bytes: {running.err()}")
os.write(writer, b"late")
os.close(writer)
running.finish().expect(0)
equal(content(out), b"late", "from a FIFO whose writer was slow")

# No reader.
for _ in range(2):
    running = start("copy", path, fifo)
    time.sleep(0.2)
    check(running.running(), f"it did not wait for a reader: {running.err()}")
    collector = Collector(os.open(fifo, os.O_RDONLY))
    running.finish().expect(0)
    same_bytes(collector.result(), data, "into a FIFO whose reader came late")

# FIFO to FIFO.
other = f"{directory}/other"
os.mkfifo(other)
running = start("copy", fifo, other)
writer = os.open(fifo, os.O_WRONLY)
Feeder(writer, data)
collector = Collector(os.open(other, os.O_RDONLY))
running.finish().expect(0)
same_bytes(collector.result(), data, "FIFO to FIFO")

# The wait can be ended, and a question does not end it.
for arguments in ([fifo, out], [path, fifo]):
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        running = start("copy", *arguments)
        time.sleep(0.1)
        running.signal(signal.SIGUSR1)
        time.sleep(0.1)
        check(running.running(), f"SIGUSR1 ended the wait for a FIFO: {running.err()}")
        running.signal(number)
        running.finish(3).expect(status)
PY
