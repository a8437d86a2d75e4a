"""Peers from and to CSV: what is written comes back the same; whatever is read ends in lines or in a clear refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.contract.peers import FIELDS, ROLES, TLS
from pacstui.equipment import sheet
from pacstui.equipment.book import PeerBook
from pacstui.equipment.peer import Peer, peer_of
from pacstui.errors import BadRequest
from pacstui.settings import SERVICES, PeerSettings
from tests.equipment.conftest import Site

BOOK = PeerBook([PeerSettings(name="CT one", ae_title="CT1", host="192.0.2.17")])
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40).map(str.strip)
titles = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), min_size=1, max_size=16)
peers = st.builds(
    lambda **given: peer_of(given),
    name=words.filter(bool),
    ae_title=titles,
    host=st.just("192.0.2.1"),
    port=st.integers(1, 65535).map(str),
    tls=st.sampled_from(TLS),
    roles=st.lists(st.sampled_from(ROLES)).map(",".join),
    allow=st.lists(st.sampled_from(SERVICES)).map(lambda names: ", ".join(names) or "nothing"),
    notes=words,
    vendor=words,
    serial=words,
)


@given(st.lists(peers, unique_by=lambda peer: peer.name.casefold(), max_size=5))
def test_what_is_written_comes_back(made: list[Peer]) -> None:
    lines = list(sheet.read(sheet.written(made), PeerBook()))
    assert [line.mistake for line in lines] == [""] * len(made)
    assert [line.after for line in lines] == made


@given(st.lists(peers, unique_by=lambda peer: peer.name.casefold(), max_size=5))
def test_no_cell_is_a_formula(made: list[Peer]) -> None:
    import csv
    import io

    for row in csv.reader(io.StringIO(sheet.written(made), newline="")):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]


@given(st.text(max_size=300) | st.text(max_size=200).map(lambda rest: f"name,ae_title,host,port\n{rest}"))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        plan = sheet.plan(sheet.read(text, BOOK))
    except BadRequest as refusal:
        assert refusal.message
        return
    for line in plan.lines:
        assert line.what in ("create", "change", "nothing", "mistake")
        assert line.text.isprintable()


def test_all_or_nothing_with_every_mistake_named() -> None:
    text = (
        "name;ae_title;host;port;location\n"
        "MR2;MR2;10.0.0.2;104;room 2\n"
        "CT one;;;;room 3\n"
        "BAD;THIS TITLE IS TOO LONG;h;1;\n"
        "MR2;MR2;10.0.0.3;104;\n"
        "us3;X;h;1;;\n"
        "short;A\n"
    )
    plan = sheet.plan(sheet.read(text, BOOK))
    assert [line.what for line in plan.lines] == ["create", "change", "mistake", "mistake", "mistake", "mistake"]
    assert plan.lines[1].text == "location: - -> room 3"
    assert "at most 16" in plan.lines[2].text
    assert "stands in line 2 already" in plan.lines[3].text
    assert "another number of columns" in plan.lines[4].text
    assert "another number of columns" in plan.lines[5].text
    (line,) = sheet.plan(sheet.read("name,notes\nct ONE,x\n", BOOK)).lines
    assert "differs in capitals only" in line.text


@pytest.mark.parametrize("first", ["", "title,host", "name,colour", "name,host,host", "\0"])
def test_a_first_line_that_names_no_columns_is_refused(first: str) -> None:
    with pytest.raises(BadRequest):
        list(sheet.read(f"{first}\na,b\n", BOOK))


async def test_an_import_with_a_mistake_changes_nothing(site: Site) -> None:
    good, bad = "name,ae_title,host\nMR2,MR2,10.0.0.2\n", "US,,h\n"
    with pytest.raises(BadRequest, match="line 3"):
        await site.room.import_csv(good + bad)
    assert site.book.named("MR2") is None
    assert (await site.room.import_csv(good)).changes == 1
    assert site.book.named("MR2") is not None
    assert [told[0] for told in site.noted] == ["peers.add"]
    assert (await site.room.import_csv(await site.room.export_csv())).changes == 0
    assert set(FIELDS) <= set((await site.room.export_csv()).partition("\r\n")[0].split(","))
