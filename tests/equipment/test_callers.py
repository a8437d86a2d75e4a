"""The record of callers: kept across restarts, and no caller can fill it or push others out."""

from __future__ import annotations

import sqlite3

import pytest

from pacstui.dicom.net.service import Refused
from pacstui.dicom.ul.items import ProposedContext, UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.callers import ROWS, ROWS_OF_ONE, origin
from pacstui.errors import NotFound
from tests.equipment.conftest import Site

CT = "1.2.840.10008.5.1.4.1.1.2"
UNKNOWN = (1, 1, 3)


def refusal(calling: str, address: str = "192.0.2.50", contexts: int = 1, syntaxes: int = 1) -> Refused:
    proposed = tuple(ProposedContext(2 * n + 1, CT, ("1.2.840.10008.1.2",) * syntaxes) for n in range(contexts))
    request = AssociateRequest("RADNODE1", calling, proposed, UserInformation(16384, "1.2.3", "SCANNER\x1b[2J"))
    return Refused(7, calling, "RADNODE1", (address, 1024), *UNKNOWN, "is not known here", "add it", request)


async def test_a_refused_caller_is_told_with_all_that_helps_and_survives_a_restart(site: Site) -> None:
    for _ in range(3):
        site.room.seen.refused(refusal("XRAY9"))
        site.clock.advance(60)
    after = await site.again()
    (row,) = (await after.room.callers()).rows
    assert (row.calling, row.called, row.host, row.count, row.what) == ("XRAY9", "RADNODE1", "192.0.2.50", 3, "refused")
    assert (row.last - row.first).total_seconds() == 120
    assert row.contexts == ("CT Image Storage: Implicit VR Little Endian",)
    assert row.implementation == "SCANNER\u241b[2J (1.2.3)"


async def test_who_is_ignored_is_counted_on_and_shown_only_on_demand(site: Site) -> None:
    site.room.seen.refused(refusal("XRAY9"))
    (row,) = (await site.room.callers()).rows
    await site.room.ignore(row.id)
    site.room.seen.refused(refusal("XRAY9"))
    after = await site.again()
    assert (await after.room.callers()).rows == ()
    (row,) = (await after.room.callers(ignored=True)).rows
    assert (row.ignored, row.count) == (True, 2)
    await after.room.notice(row.id)
    assert len((await after.room.callers()).rows) == 1
    with pytest.raises(NotFound):
        await after.room.ignore(4711)


async def test_who_becomes_a_peer_is_no_unknown_caller_any_more(site: Site) -> None:
    site.room.seen.refused(refusal("XRAY9"))
    await site.room.add("X-ray 9", "XRAY9", "192.0.2.50")
    assert (await site.again()).room.seen.callers.view(ignored=True).rows == ()


async def test_a_million_titles_of_one_address_are_a_few_rows(site: Site) -> None:
    seen = site.room.seen
    seen.refused(refusal("XRAY9", "192.0.2.60"))
    for number in range(3_000):
        seen.refused(refusal(f"T{number:09d}", contexts=64, syntaxes=32))
    view = await site.room.callers()
    assert len(view.rows) <= ROWS_OF_ONE + 2
    many = next(row for row in view.rows if row.titles > 1)
    assert (many.count, many.titles, many.host) == (3_000 - ROWS_OF_ONE, 3_000 - ROWS_OF_ONE, "192.0.2.50")
    assert any(row.calling == "XRAY9" for row in view.rows)
    await seen.flush()
    assert all(sum(map(len, row.contexts)) < 20_000 for row in view.rows)


async def test_callers_from_many_addresses_push_nobody_out_who_counts(site: Site) -> None:
    seen = site.room.seen
    for _ in range(50):
        seen.refused(refusal("XRAY9", "192.0.2.60"))
    seen.refused(refusal("OLD", "192.0.2.61"))
    (ignored,) = [row for row in (await site.room.callers()).rows if row.calling == "OLD"]
    await site.room.ignore(ignored.id)
    for number in range(3 * ROWS):
        seen.refused(refusal(f"T{number % 7}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    view = await site.room.callers(ignored=True)
    assert len(view.rows) <= ROWS
    assert view.dropped > ROWS
    assert {"XRAY9", "OLD"} <= {row.calling for row in view.rows}
    await seen.flush()
    with sqlite3.connect(site.database.path) as connection:
        assert connection.execute("SELECT count(*) FROM peer_callers").fetchone()[0] == len(view.rows)


def test_a_caller_is_an_address_or_a_network_of_ipv6() -> None:
    assert origin("2001:db8::1") == origin("2001:db8::ffff:2") == "2001:db8::/64"
    assert origin(origin("2001:db8::1")) == "2001:db8::/64"
    assert origin("::ffff:192.0.2.1") == origin("192.0.2.1")
    assert origin("fe80::1%eth0") == "fe80::/64"
    assert origin("::1") == "::1"
