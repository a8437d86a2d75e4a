"""A sender of C-STORE requests that costs next to nothing: everything is encoded before the clock starts.

Run as a process of its own: ``python -m benchmarks.sender PORT CALLED COUNT SIZE SEED`` prints, as JSON, the seconds
from the first request to the last response and the number of successes. Data sets are CT images in Explicit VR Little
Endian.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
import uuid

CT = b"1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = b"1.2.840.10008.1.2.1"
CONTEXT_NAME = b"1.2.840.10008.3.1.1.1"
RELEASE = struct.pack(">BBII", 5, 0, 4, 0)


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def request(called: str, calling: str) -> bytes:
    """Return an A-ASSOCIATE-RQ for CT images on context 1."""
    context = _item(0x20, b"\x01\0\0\0" + _item(0x30, CT) + _item(0x40, EXPLICIT))
    user = _item(0x50, _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"2.25.1") + _item(0x55, b"BENCH"))
    body = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    body += _item(0x10, CONTEXT_NAME) + context + user
    return struct.pack(">BBI", 1, 0, len(body)) + body


def _element(group: int, element: int, vr: str, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    if vr in ("OB", "OW"):
        return struct.pack("<HH2sHI", group, element, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, element, vr.encode(), len(value)) + value


def data_set(study: str, series: str, instance: str, number: int, size: int, patient: str = "B-1") -> bytes:
    """Return an encoded CT image of about ``size`` bytes."""
    side = max(8, int((max(0, size - 900) / 2) ** 0.5))
    parts = [
        (0x0008, 0x0005, "CS", b"ISO_IR 100"),
        (0x0008, 0x0008, "CS", b"ORIGINAL\\PRIMARY\\AXIAL"),
        (0x0008, 0x0016, "UI", CT),
        (0x0008, 0x0018, "UI", instance.encode()),
        (0x0008, 0x0020, "DA", b"20260105"),
        (0x0008, 0x0021, "DA", b"20260105"),
        (0x0008, 0x0030, "TM", b"101500"),
        (0x0008, 0x0050, "SH", b"A0001"),
        (0x0008, 0x0060, "CS", b"CT"),
        (0x0008, 0x0070, "LO", b"BENCH"),
        (0x0008, 0x0080, "LO", b"BENCH HOSPITAL"),
        (0x0008, 0x0090, "PN", b"REFERRER^TEST"),
        (0x0008, 0x1010, "SH", b"CT1"),
        (0x0008, 0x1030, "LO", b"CT THORAX"),
        (0x0008, 0x103E, "LO", b"AXIAL 5.0"),
        (0x0010, 0x0010, "PN", b"BENCH^PATIENT"),
        (0x0010, 0x0020, "LO", patient.encode()),
        (0x0010, 0x0030, "DA", b"19700101"),
        (0x0010, 0x0040, "CS", b"O"),
        (0x0018, 0x0050, "DS", b"5.0"),
        (0x0018, 0x0060, "DS", b"120"),
        (0x0018, 0x5100, "CS", b"HFS"),
        (0x0020, 0x000D, "UI", study.encode()),
        (0x0020, 0x000E, "UI", series.encode()),
        (0x0020, 0x0010, "SH", b"1"),
        (0x0020, 0x0011, "IS", b"1"),
        (0x0020, 0x0013, "IS", str(number).encode()),
        (0x0020, 0x0032, "DS", b"0\\0\\%d" % number),
        (0x0020, 0x0037, "DS", b"1\\0\\0\\0\\1\\0"),
        (0x0020, 0x0052, "UI", series.encode()),
        (0x0028, 0x0002, "US", struct.pack("<H", 1)),
        (0x0028, 0x0004, "CS", b"MONOCHROME2"),
        (0x0028, 0x0010, "US", struct.pack("<H", side)),
        (0x0028, 0x0011, "US", struct.pack("<H", side)),
        (0x0028, 0x0030, "DS", b"0.7\\0.7"),
        (0x0028, 0x0100, "US", struct.pack("<H", 16)),
        (0x0028, 0x0101, "US", struct.pack("<H", 12)),
        (0x0028, 0x0102, "US", struct.pack("<H", 11)),
        (0x0028, 0x0103, "US", struct.pack("<H", 0)),
        (0x0028, 0x1052, "DS", b"-1024"),
        (0x0028, 0x1053, "DS", b"1"),
        (0x7FE0, 0x0010, "OW", bytes([number & 255]) * (side * side * 2)),
    ]
    return b"".join(_element(*part) for part in parts)


def _command(instance: str, message: int) -> bytes:
    def element(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHI", 0, tag, len(value)) + value

    uid = instance.encode() + b"\0" * (len(instance) % 2)
    body = element(2, CT + b"\0") + element(0x100, b"\x01\0") + element(0x110, struct.pack("<H", message))
    body += element(0x700, b"\0\0") + element(0x800, b"\0\0") + element(0x1000, uid)
    return element(0, struct.pack("<I", len(body))) + body


def _exactly(sock: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = sock.recv(count - len(got))
        if not more:
            raise ConnectionError("the peer closed the connection")
        got += more
    return got


def read_pdu(sock: socket.socket) -> tuple[int, bytes]:
    """Return type and body of the next PDU."""
    head = _exactly(sock, 6)
    return head[0], _exactly(sock, struct.unpack(">I", head[2:])[0])


def study_of(seed: int) -> str:
    """Return the Study Instance UID of what a sender with this seed sends."""
    root = f"2.25.{uuid.UUID(int=seed * 2**64 + 7).int}"
    return f"{root[:40]}.{seed}"


def patient_of(seed: int) -> str:
    """Return the Patient ID in what a sender with this seed sends."""
    return f"B-{seed}"


def message(number: int, size: int, seed: int, limit: int) -> tuple[str, bytes, bytes]:
    """Return SOP Instance UID, data set, and the C-STORE request as P-DATA-TF PDUs of at most ``limit`` bytes."""
    study = study_of(seed)
    instance = f"{study}.{number}"
    data = data_set(study, f"{study}.0", instance, number, size, patient_of(seed))
    command = _command(instance, number & 0xFFFF)
    parts = [struct.pack(">BBIIBB", 4, 0, len(command) + 6, len(command) + 2, 1, 3) + command]
    step = limit - 6
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        last = 2 if at + step >= len(data) else 0
        parts.append(struct.pack(">BBIIBB", 4, 0, len(piece) + 6, len(piece) + 2, 1, last) + piece)
    return instance, data, b"".join(parts)


def status_of(answer: bytes) -> int:
    """Return the status in a C-STORE response's PDU body; -1 where there is none."""
    at = answer.rfind(b"\0\0\0\x09\x02\0\0\0")
    return int.from_bytes(answer[at + 8 : at + 10], "little") if at >= 0 else -1


def run(port: int, called: str, count: int, size: int, seed: int) -> dict[str, float]:
    """Send ``count`` objects on one association and time them."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(request(called, f"BENCH{seed}"[:16]))
        kind, body = read_pdu(sock)
        if kind != 2:
            raise ConnectionError(f"the association was not accepted: PDU type {kind}")
        at, limit = 68, 16384
        while at < len(body):
            item, length = body[at], struct.unpack(">H", body[at + 2 : at + 4])[0]
            if item == 0x50:
                inner = body[at + 4 : at + 4 + length]
                if inner[0] == 0x51:
                    limit = struct.unpack(">I", inner[4:8])[0] or 131072
            at += 4 + length
        limit = min(limit, 131072)
        requests = [message(number, size, seed, limit)[2] for number in range(1, count + 1)]
        good = 0
        start = time.perf_counter()
        for each in requests:
            sock.sendall(each)
            _, answer = read_pdu(sock)
            good += status_of(answer) == 0
        seconds = time.perf_counter() - start
        sock.sendall(RELEASE)
        read_pdu(sock)
    return {"seconds": seconds, "good": good}


if __name__ == "__main__":
    port, called, count, size, seed = sys.argv[1:6]
    print(json.dumps(run(int(port), called, int(count), int(size), int(seed))))
