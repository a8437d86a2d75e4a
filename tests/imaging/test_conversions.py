"""Decoders work in a process of their own: what they do at a broken object costs that object alone."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from pacstui.dicom.syntaxes import DEFLATED, EXPLICIT, IMPLICIT, JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, RLE
from pacstui.imaging.conversions import Conversions
from pacstui.imaging.convert import NotConvertible, convert
from tests.imaging.encoded import ANY_ORDER, FIRST_ORDER, data_of, object_of, opened, stream
from tests.interop.kept import data_set_of
from tests.interop.samples import sample
from tests.running import until

PICTURE = np.arange(240).reshape(12, 20)
OBJECT = data_of(object_of([stream(PICTURE, 8)], PICTURE, 8, 8))
REAL = data_set_of(sample("JPEG-LL.dcm"))


@asynccontextmanager
async def conversions(**more: float) -> AsyncIterator[Conversions]:
    made = Conversions(**more)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


def workers() -> list[psutil.Process]:
    """Return the processes that decode for this one."""
    found = []
    for child in psutil.Process().children():
        try:
            if "pacstui.imaging.worker" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            pass
    return found


async def plain(by: Conversions, data: bytes = OBJECT, source: str = ANY_ORDER) -> bytes:
    return bytes(opened(await by.convert(lambda: data, source, EXPLICIT, "2.25.4711"), EXPLICIT).PixelData)


async def gone(process: psutil.Process) -> None:
    """Wait for the end of a process."""
    await asyncio.to_thread(until, lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


async def under_way(by: Conversions) -> asyncio.Task[bytes]:
    """Have a conversion for which the one process was given its work."""
    task = asyncio.create_task(plain(by))
    async with asyncio.timeout(10):
        while by._idle:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
    return task


async def begun(by: Conversions) -> psutil.Process:
    """Have one process that waits for work, and nothing else."""
    await plain(by)
    (found,) = workers()
    return found


async def test_one_process_decodes_one_object_after_the_other_and_ends_with_the_rest() -> None:
    async with conversions() as made:
        assert workers() == []
        assert await plain(made) == PICTURE.astype("u1").tobytes()
        (first,) = workers()
        assert len(await plain(made, REAL, FIRST_ORDER)) == 1024 * 256 * 2
        assert workers() == [first]
    assert workers() == []


async def test_plain_objects_need_no_process() -> None:
    data = data_set_of(sample("MR_small.dcm"))
    async with conversions() as made:
        assert await made.convert(lambda: data, EXPLICIT, IMPLICIT, "1.2.3") != data
        assert workers() == []


async def test_a_process_without_work_ends() -> None:
    async with conversions(idle_s=0) as made:
        await gone(await begun(made))


async def test_as_many_processes_as_objects_at_once() -> None:
    async with conversions(at_once=2) as made:
        assert len(set(await asyncio.gather(*(plain(made) for _ in range(6))))) == 1
        assert len(workers()) == 2


async def test_a_decoder_that_dies_costs_its_object_and_the_next_gets_a_new_one() -> None:
    async with conversions() as made:
        first = await begun(made)
        first.suspend()
        dying = await under_way(made)
        first.kill()  # what was not this object's fault is tried again
        assert await dying == PICTURE.astype("u1").tobytes()
        (second,) = workers()
        second.kill()
        await gone(second)
        assert await plain(made) == PICTURE.astype("u1").tobytes()


async def test_how_a_new_decoder_died_is_told_with_its_object(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nread line; kill -SEGV $$\n")
    broken.chmod(0o755)
    async with conversions() as made:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", str(broken))
            with pytest.raises(NotConvertible) as caught:
                await plain(made)
        assert caught.value.message == (
            "JPEG Lossless (14) cannot be decoded: its decoder ended suddenly (signal 11); instance 2.25.4711"
        )
        assert "send it" in caught.value.hint
        assert await plain(made) == PICTURE.astype("u1").tobytes()
        (worker,) = workers()
        worker.kill()
        await gone(worker)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
        with pytest.raises(NotConvertible, match="no process could be started"):
            await plain(made)


async def test_a_decoder_that_hangs_is_ended_and_told() -> None:
    async with conversions(limit_s=60) as made:
        hanging = await begun(made)
        hanging.suspend()
        made._limit_s = 0.2
        with pytest.raises(NotConvertible, match="its decoder was not done after"):
            await plain(made)
        await gone(hanging)
        made._limit_s = 60
        assert await plain(made) == PICTURE.astype("u1").tobytes()


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    async with conversions() as made:
        hanging = await begun(made)
        hanging.suspend()
        waiting = await under_way(made)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await gone(hanging)
        assert await plain(made) == PICTURE.astype("u1").tobytes()


async def test_a_deflated_data_set_that_grows_without_end_is_not_the_nodes_matter() -> None:
    plain_data = data_of(object_of([b"none"], PICTURE, 8, 8, EncapsulatedDocument=bytes(50 << 20)))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(plain_data) + packer.flush()
    told: list[int] = []
    convert(bomb, DEFLATED, EXPLICIT, told.append)
    assert told == [len(plain_data)]
    short = data_set_of(sample("image_dfl.dcm"))
    async with conversions() as made:
        assert opened(await made.convert(lambda: short, DEFLATED, EXPLICIT, "1.2.3"), EXPLICIT).Rows == 512
        assert len(workers()) == 1


def test_no_more_memory_is_taken_than_an_object_says_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """if True:
        import numpy
        from pacstui.imaging import worker
        worker._room_for(1 << 20, worker._taken() + (64 << 20))
        numpy.ones(32 << 20, "u1")
        try:
            numpy.ones(300 << 20, "u1")
        except MemoryError:
            print("refused")
        try:
            worker._room_for(1 << 60, 0)
        except worker.NotConvertible as fault:
            print(fault.message)
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = ran.stdout.splitlines()
    assert first == "refused"
    assert second.startswith("decoded it takes 1,099,511,627,776 MiB, too much for the ")


async def test_a_panic_and_a_damaged_object_are_told_and_the_next_is_decoded() -> None:
    data = data_set_of(sample("MR_small_RLE.dcm"))
    at = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xe0\x7f\x10\x00O") + 20) + 8 + 64  # after the header
    panics = data[:at] + b"\x81" * 100 + data[at + 100 :]
    async with conversions() as made:
        for _ in range(2):
            with pytest.raises(NotConvertible, match=r"RLE Lossless cannot be decoded: index out of .*; instance 2.25"):
                await plain(made, panics, RLE)
        assert await plain(made) == PICTURE.astype("u1").tobytes()


def test_a_busy_decoder_ends_when_its_node_is_gone() -> None:
    """Also one that holds the interpreter and never looks at its input again."""
    code = """if True:
        from pacstui.imaging.worker import ending_with
        with ending_with(0):
            print("busy", flush=True)
            sum(range(10**12))
    """
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"busy\n"
        process.stdin.close()
        assert process.wait(10) == -signal.SIGIO


def test_a_killed_node_leaves_no_decoder_behind(tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(OBJECT)
    code = f"""if True:
        import asyncio, psutil
        from pacstui.imaging.conversions import Conversions
        async def main():
            data = open({str(tmp_path / "object")!r}, "rb").read()
            await Conversions().convert(lambda: data, {ANY_ORDER!r}, {EXPLICIT!r}, "1.2.3")
            print(psutil.Process().children()[0].pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path.cwd()) as node:
        assert node.stdout is not None
        worker = psutil.Process(int(node.stdout.readline()))
        handles = {os.readlink(each) for each in Path(f"/proc/{worker.pid}/fd").iterdir()}
        node.kill()
        worker.wait(10)
    assert not any(name for name in handles if not name.startswith(("pipe:", "socket:", "/dev/")))


SAMPLES = {
    "SC_rgb_jpeg_gdcm.dcm": FIRST_ORDER, "MR_small_RLE.dcm": RLE, "MR_small_jp2klossless.dcm": JPEG_2000_LOSSLESS,
    "MR_small_jpeg_ls_lossless.dcm": JPEG_LS_LOSSLESS, "SC_rgb_rle_2frame.dcm": RLE,
}  # fmt: skip


def mutated(name: str, seed: int) -> bytes:
    """Return an object whose pixel data were damaged in one of many ways."""
    dice = random.Random(seed)
    data = bytearray(data_set_of(sample(name)))
    begin = data.rindex(b"\xe0\x7f\x10\x00O")
    end = dice.choice([len(data), min(len(data), begin + 400)])
    at = dice.randrange(begin + 12, end)
    length = dice.randint(1, 100)
    match dice.randrange(4):
        case 0:
            for _ in range(dice.randint(1, 5)):
                data[dice.randrange(begin + 12, end)] = dice.randrange(256)
        case 1:
            del data[at:]
        case 2:
            del data[at : at + length]
        case _:
            data[at:at] = data[at : at + length]
    return bytes(data)


@pytest.mark.slow
def test_no_damage_ends_or_holds_up_anything_but_its_object() -> None:
    """Whatever is wrong with pixel data: there is an answer, in words, and then a good object is decoded."""
    with asyncio.Runner() as runner:
        made = runner.run(_made())

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.sampled_from(sorted(SAMPLES)), st.integers(0, 1 << 30))
        def damage(name: str, seed: int) -> None:
            data = mutated(name, seed)
            told = dcmread(sample(name))
            try:
                found = runner.run(made.convert(lambda: data, SAMPLES[name], EXPLICIT, "1.2.3"))
            except NotConvertible as fault:
                assert "cannot be decoded: " in fault.message
                assert fault.message.isprintable()
                assert fault.hint
                assert "hangs" not in fault.message
                assert "not done" not in fault.message
            else:
                size = told.Rows * told.Columns * told.SamplesPerPixel * told.BitsAllocated // 8
                assert len(opened(found, EXPLICIT).PixelData) == size * int(told.get("NumberOfFrames", 1))

        damage()
        assert runner.run(plain(made)) == PICTURE.astype("u1").tobytes()
        runner.run(made.close())


async def _made() -> Conversions:
    return Conversions(limit_s=30)
