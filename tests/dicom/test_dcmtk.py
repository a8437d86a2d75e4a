"""DCMTK's programs against the listener, and the requestor against DCMTK's storescp."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacstui.dicom.net.requestor import associate
from pacstui.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from tests.dicom.serving import QUICK, serving
from tests.interop import dcmtk

pytestmark = dcmtk.needed

CT = "1.2.840.10008.5.1.4.1.1.2"


async def run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        dcmtk.program(command[0]), *command[1:], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def sample(name: str) -> Path:
    found = get_testdata_file(name)
    assert found is not None
    return Path(str(found))


async def test_echoscu_and_storescu_work() -> None:
    async with serving() as node:
        code, out = await run("echoscu", "127.0.0.1", str(node.port))
        assert code == 0, out
        files = [sample("CT_small.dcm"), sample("MR_small.dcm")]
        code, out = await run("storescu", "127.0.0.1", str(node.port), *map(str, files))
        assert code == 0, out
        await node.watch.until(lambda seen: len(seen.ends) == 2)
    assert [how for _, how, _ in node.watch.ends] == ["released", "released"]
    assert set(node.store.objects) == {str(dcmread(file).SOPInstanceUID) for file in files}
    assert node.watch.ends[1][0].counters.stored == 2


async def test_storescu_keeps_compressed_files_as_they_are() -> None:
    async with serving() as node:
        file = sample("JPEG2000.dcm")
        code, out = await run("storescu", "-xw", "127.0.0.1", str(node.port), str(file))
        assert code == 0, out
        syntax = node.watch.open[0].accepted[1].transfer_syntax
    assert syntax == str(dcmread(file).file_meta.TransferSyntaxUID)
    assert dcmread(file).PixelData in next(iter(node.store.objects.values()))


@asynccontextmanager
async def storescp(folder: Path) -> AsyncIterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        dcmtk.program("storescp"), "-v", "-od", str(folder), str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
        yield port
    finally:
        process.terminate()
        await process.wait()


def received(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_requestor_echoes_and_stores_to_storescp(tmp_path: Path) -> None:
    file = sample("CT_small.dcm")
    uid = str(dcmread(file).SOPInstanceUID)
    whole = file.read_bytes()
    data = whole[132:]
    data = data[12 + int.from_bytes(data[8:12], "little") :]  # without the file meta group
    steps: list[str] = []
    async with storescp(tmp_path) as port:
        async with associate(
            "localhost",
            port,
            called="ANY",
            calling="PACSTUI",
            contexts=[(VERIFICATION, ["1.2.840.10008.1.2"]), (CT, [EXPLICIT_VR_LITTLE_ENDIAN])],
            timeouts=QUICK,
            on_step=lambda name, ok, ms, detail: steps.append(f"{name} {ok}"),
        ) as association:
            assert await association.echo() == 0
            response = await association.store(CT, uid, EXPLICIT_VR_LITTLE_ENDIAN, data)
            assert response.ok
            response = await association.store(
                CT, uid, EXPLICIT_VR_LITTLE_ENDIAN, (data[i : i + 777] for i in range(0, len(data), 777))
            )
            assert response.status == 0
    assert steps == ["name True", "TCP True", "association True", "release True"]
    assert [dcmread(stored).PixelData for stored in received(tmp_path)] == [dcmread(file).PixelData]
