#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A tap that cannot be opened, or dies: a full disk, a limit on files, a peer that vanishes, a FIFO without a
# reader, a directory that is gone, no descriptors. The connection does not notice; the log says what became
# of the tap, and the next connection tries again.
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

scenario <<'PY'
from relays import *

SIZE = 20 << 20
DATA = random_bytes(SIZE)
target = Echo()


def exchange_well(relay, data=DATA):
    """Sends and receives at once: an echo that is not read stops."""
    client = relay.client()
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    same_bytes(read_to_end(client), data, "through the relay")
    sender.join(LIMIT)
    client.close()


def failed_with(relay, call, error, side="client"):
    said = relay.logged(rf"warning tap failed id=\d+ from={side} .*call={call} error={error} "
                        r"delivered=(\d+) lost=(\d+)")
    return int(said.group(1)), int(said.group(2))


def full_disk(where):
    for name in ("%n-%d", "all"):
        relay = Relay("--metrics=:0", "--tap", f"{where}/{name},from=client", target=target.address)
        exchange_well(relay)
        delivered, lost = failed_with(relay, "(?:splice|write)", "ENOSPC")
        equal(delivered + lost <= SIZE, True, "the bytes of the tap")
        file = os.path.join(where, "0-client" if "%" in name else name)
        same_bytes(content(file), DATA[:delivered], "the prefix that is on the disk")
        os.unlink(file)
        exchange_well(relay, b"small")  # the next one has room again
        wait_for(lambda: relay.metrics()["taps"] == 0, "taps to end")
        same_bytes(content(os.path.join(where, "1-client" if "%" in name else name)), b"small", "the next")
        equal(relay.metrics()['tap_failures_total{reason="broken"}'], 1, "failures")
        relay.stop().expect(0)
        for left in os.listdir(where):
            os.unlink(os.path.join(where, left))


def limit_on_files():
    where = scratch()
    relay = Relay("--tap", f"{where}/%n,from=client", target=target.address,
                  before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)))
    exchange_well(relay)
    equal(failed_with(relay, "(?:splice|write)", "EFBIG")[0], 100000, "delivered")
    relay.stop().expect(0)


def vanished_peer():
    """It resets in the middle; there is none at all; and it comes back."""
    listener = tcp_listener()
    listener.listen(4)
    listener.settimeout(LIMIT)
    port = listener.getsockname()[1]
    relay = Relay("--metrics=:0", "--tap", f"tcp:127.0.0.1:{port},from=client,slow=wait", target=target.address)
    client = relay.client()
    client.sendall(b"begin")
    equal(client.recv(100), b"begin", "through the relay")
    peer = listener.accept()[0]
    equal(peer.recv(100), b"begin", "the tap")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    time.sleep(0.05)
    sender = threading.Thread(target=lambda: (client.sendall(DATA), client.shutdown(socket.SHUT_WR)))
    sender.start()
    same_bytes(read_to_end(client), DATA, "through the relay, after the tap has died")
    client.close()
    failed_with(relay, "(?:send|splice)", "(?:ECONNRESET|EPIPE)")
    listener.close()
    exchange_well(relay)
    # To a port that nobody listens on the connect fails, at once or when something is sent.
    relay.logged(r"warning (tap failed|cannot tap) id=1 from=client .*ECONNREFUSED")
    again = socket.socket()
    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    again.bind(("127.0.0.1", port))
    again.listen(4)
    again.settimeout(LIMIT)
    got = []
    reader = threading.Thread(target=lambda: got.append(read_to_end(again.accept()[0])))
    reader.start()
    exchange_well(relay)
    reader.join(LIMIT)
    same_bytes(got[0], DATA, "the tap that has come back")
    equal(relay.metrics().total("tap_failures_total"), 2, "failures")
    relay.stop().expect(0)


def not_there():
    where = scratch()
    fifo, directory = os.path.join(where, "fifo"), os.path.join(where, "directory")
    os.mkfifo(fifo)
    os.mkdir(directory)
    relay = Relay("--metrics=:0", "--tap", f"{fifo},from=client", "--tap", f"{directory}/%n,from=target",
                  "--tap", f"unix:{where}/nobody,from=client", target=target.address)
    relay.metrics()  # so it has looked at all of them, and was content
    os.rmdir(directory)
    exchange_well(relay)
    relay.logged(rf"warning cannot tap id=0 from=client to={fifo} call=open error=ENXIO why=\"nobody reads it\"")
    relay.logged(rf"warning cannot tap id=0 from=target to={directory}/0 call=open error=ENOENT")
    relay.logged(rf"warning cannot tap id=0 from=client to=unix:{where}/nobody call=connect error=ENOENT")
    equal(relay.metrics()['tap_failures_total{reason="not opened"}'], 3, "failures")
    os.mkdir(directory)
    exchange_well(relay)
    wait_for(lambda: relay.metrics()["taps"] == 0, "taps to end")
    same_bytes(content(f"{directory}/1"), DATA, "the tap of the next connection")
    relay.stop().expect(0)


def no_way_out():
    """A link that somebody has put there is not followed, and a name leads nowhere else."""
    where = scratch()
    victim = file_with(b"precious")
    os.symlink(victim, os.path.join(where, "0"))
    relay = Relay("--tap", f"{where}/%n,from=client", target=target.address)
    exchange_well(relay)
    relay.logged(r"warning cannot tap id=0 .*error=ELOOP")
    relay.stop().expect(0)
    same_bytes(content(victim), b"precious", "what the link led to")


def one_of_several():
    """Others are not touched by the one that fails."""
    where = scratch()
    relay = Relay("--tap", "/dev/full,from=client", "--tap", f"{where}/%n,from=client",
                  target=target.address)
    exchange_well(relay)
    failed_with(relay, "(?:splice|write)", "(?:ENOSPC|EINVAL)")
    wait_for(lambda: os.path.getsize(f"{where}/0") == SIZE, "the other tap")
    same_bytes(content(f"{where}/0"), DATA, "the other tap")
    relay.stop().expect(0)


def the_end_of_a_connection():
    """Resets and early exits: the tap has what was taken, and ends."""
    where = scratch()
    listener = tcp_listener()
    listener.listen(4)
    relay = Relay("--metrics=:0", "--tap", f"{where}/%n-%d",
                  target=f"127.0.0.1:{listener.getsockname()[1]}")
    for number, who in enumerate(("client", "target")):
        client = relay.client()
        peer = listener.accept()[0]
        ends = {"client": client, "target": peer}
        other = ends["target" if who == "client" else "client"]
        ends[who].sendall(DATA[:100000])
        got = b""
        while len(got) < 100000:
            got += other.recv(100000)
        ends[who].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        ends[who].close()
        read_to_end(other)
        other.close()
        wait_for(lambda: relay.metrics()["connections_active"] == 0 and relay.metrics()["taps"] == 0,
                 "the end")
        same_bytes(content(f"{where}/{number}-{who}"), DATA[:100000], f"the {who}, reset")
    relay.stop().expect(0)


parts = [limit_on_files, vanished_peer, not_there, no_way_out, one_of_several, the_end_of_a_connection]
each(lambda part: part(), parts)
small = os.environ.get("SLUICE_SMALLFS")
if small:
    full_disk(scratch(small))
PY
