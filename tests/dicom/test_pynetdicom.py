"""pynetdicom as caller of the listener, and as peer of the requestor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE, AllStoragePresentationContexts, evt

from pacstui.dicom.net.requestor import associate
from tests.dicom import wire
from tests.dicom.serving import QUICK, serving

CT = "1.2.840.10008.5.1.4.1.1.2"


def sample(name: str) -> Path:
    found = get_testdata_file(name)
    assert found is not None
    return Path(str(found))


def call(port: int) -> list[int]:
    """Echo, store in two contexts, release: the statuses."""
    ae = AE("MOD1")
    ae.add_requested_context(wire.VERIFICATION)
    ae.add_requested_context(CT, [wire.EXPLICIT])
    association = ae.associate("127.0.0.1", port, ae_title="PACSTUI")
    assert association.is_established
    assert str(association.acceptor.implementation_version_name).startswith("PACSTUI_")
    statuses = [int(association.send_c_echo().Status)]
    dataset = dcmread(sample("CT_small.dcm"))
    statuses += [int(association.send_c_store(dataset).Status) for _ in range(5)]
    association.release()
    assert association.is_released
    return statuses


async def test_pynetdicom_as_caller() -> None:
    async with serving() as node:
        assert await asyncio.to_thread(call, node.port) == [0] * 6
        await node.watch.until(lambda seen: seen.ends)
        assert node.watch.ends[0][1] == "released"
        assert node.watch.ends[0][0].counters.stored == 5
        assert len(node.store.objects) == 1


async def test_pynetdicom_as_peer() -> None:
    got: list[tuple[str, int]] = []

    def keep(event: Any) -> int:
        got.append((str(event.request.AffectedSOPInstanceUID), len(event.request.DataSet.getvalue())))
        return 0xB007

    ae = AE("PEER")
    ae.add_supported_context(wire.VERIFICATION)
    ae.supported_contexts = [*ae.supported_contexts, *AllStoragePresentationContexts[:100]]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    assert server is not None
    try:
        port = server.server_address[1]
        async with associate(
            "127.0.0.1",
            port,
            called="PEER",
            calling="PACSTUI",
            contexts=[(wire.VERIFICATION, [wire.IMPLICIT]), (CT, [wire.EXPLICIT])],
            timeouts=QUICK,
        ) as association:
            assert await association.echo() == 0
            response = await association.store(CT, "1.2.3.4", wire.EXPLICIT, bytes(100_000))
            assert response.status == 0xB007
            assert response.ok
        assert association.state == "released"
    finally:
        server.shutdown()
    assert got == [("1.2.3.4", 100_000)]
