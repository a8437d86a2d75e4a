"""Fetching a study proposes what the peer has, on as many associations as that takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pacstui.dicom.dataset import DataSet
from pacstui.dicom.syntaxes import EXPLICIT, IMPLICIT, JPEG_BASELINE, RLE
from pacstui.dicom.uids import STORAGE_CLASSES
from pacstui.services.fetching import There, parts_of

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
CLASSES = sorted(STORAGE_CLASSES)
STUDY, SERIES, SOP, LEVEL = 0x0020000D, 0x0020000E, 0x00080018, 0x00080052


def asked(identifier: DataSet) -> tuple[str, str, str]:
    return identifier.text(LEVEL), identifier.uid(SERIES), identifier.text(SOP)


def test_one_association_for_what_the_peer_says_it_has() -> None:
    found = {"1.1": There(CT, "1.7", (EXPLICIT,)), "1.2": There(MR, "1.8", (JPEG_BASELINE, RLE))}
    (part,) = parts_of("1.5", found)
    assert part.contexts == [
        (CT, (EXPLICIT, IMPLICIT)),
        (MR, (EXPLICIT, IMPLICIT)),
        (MR, (JPEG_BASELINE,)),
        (MR, (RLE,)),
    ]
    assert [(role.sop_class, role.scu, role.scp) for role in part.roles] == [(CT, False, True), (MR, False, True)]
    (identifier,) = part.identifiers
    assert (asked(identifier), identifier.uid(STUDY)) == (("STUDY", "", ""), "1.5")


def test_a_peer_that_tells_no_transfer_syntax_is_offered_the_usual_ones() -> None:
    (part,) = parts_of("1.5", {"1.1": There(CT, "1.7")})
    assert (CT, (JPEG_BASELINE,)) in part.contexts
    assert len(part.contexts) == 7


def test_a_peer_that_tells_nothing_is_offered_the_usual_sop_classes() -> None:
    for found in ({}, {"../x": There(CT, "1.7")}, {"1.1": There("no class", "1.7")}):
        (part,) = parts_of("1.5", found)
        assert len(part.contexts) <= 127
        assert {CT, MR} <= {sop_class for sop_class, _ in part.contexts}
        assert asked(part.identifiers[0])[0] == "STUDY"


def test_series_by_series_where_the_contexts_of_a_study_are_too_many() -> None:
    found = {f"1.{n}": There(CLASSES[n], f"2.{n // 10}") for n in range(60)}
    parts = list(parts_of("1.5", found))
    assert len(parts) == 6
    assert [asked(each) for part in parts for each in part.identifiers] == [("SERIES", f"2.{n}", "") for n in range(6)]
    assert all(len(part.contexts) == 70 for part in parts)


def test_instance_by_instance_where_those_of_a_series_are() -> None:
    found = {f"1.{n}": There(CLASSES[n % 40], "2.1") for n in range(10_000)}
    parts = list(parts_of("1.5", found))
    texts = [asked(each) for part in parts for each in part.identifiers]
    assert {level for level, _, _ in texts} == {"IMAGE"}
    told = [uid for _, _, uids in texts for uid in uids.split("\\")]
    assert sorted(told) == sorted(found)
    assert max(uids.count("\\") for _, _, uids in texts) < 200
    assert all(len(part.contexts) <= 127 for part in parts)


syntaxes = st.lists(st.sampled_from([EXPLICIT, IMPLICIT, JPEG_BASELINE, RLE, "1.2.3"]), max_size=5).map(tuple)
instances = st.builds(There, st.sampled_from(CLASSES), st.sampled_from(["2.1", "2.2", "2.3"]), syntaxes)


@given(st.lists(instances, max_size=120))
def test_each_instance_is_asked_for_with_the_contexts_that_it_needs(listed: list[There]) -> None:
    found = {f"1.{n}": each for n, each in enumerate(listed)}
    covered = set()
    for part in parts_of("1.5", found):
        assert len(part.contexts) <= 127
        offered = {(sop_class, syntax) for sop_class, several in part.contexts for syntax in several}
        for identifier in part.identifiers:
            level, series, uids = asked(identifier)
            for uid, each in found.items():
                if level == "STUDY" or (each.series == series and (not uids or uid in uids.split("\\"))):
                    assert {(each.sop_class, syntax) for syntax in each.syntaxes or (EXPLICIT, RLE)} <= offered
                    assert uid not in covered, "nothing is fetched twice"
                    covered.add(uid)
    assert covered == set(found)
