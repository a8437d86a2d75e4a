"""The index follows what messages say of patients; what objects carry is no contradiction then, unless it is one."""

from __future__ import annotations

import pytest

from pacstui.clock import moment
from pacstui.errors import BadRequest
from pacstui.orders import unmerging
from tests.orders.ward import Ward, adt, merge, order, pid

NEW = "SMITH^JANE"


def studies(ward: Ward, *, search: str) -> list[str]:
    return [row[0] for row in ward.rows("SELECT study FROM studies WHERE search LIKE ?", f"%{search}%")]


def test_an_update_is_seen_in_the_studies_that_are_there() -> None:
    ward = Ward()
    study = ward.store()
    ward.hear(adt("A08", pid("4711", NEW, "19700201", "O")))
    assert ward.study(study) == ("4711", "HOSP", NEW, "19700201", "O", "")
    assert ward.rows("SELECT patient_id, issuer, name, birth_date, sex FROM patients") == [
        ("4711", "HOSP", NEW, "19700201", "O")
    ]
    assert studies(ward, search="smith jane") == [study] and not studies(ward, search="doe")
    ward.sound()


def test_a_deleted_value_is_gone_and_stays_gone() -> None:
    ward = Ward()
    study = ward.store()
    ward.hear(adt("A08", pid("4711", "DOE^JANE", '""')))
    assert ward.study(study)[3] == ""
    ward.store(study=study)
    late = ward.store()
    assert ward.study(study)[3] == ward.study(late)[3] == ""


def test_what_nobody_told_stays_as_the_objects_have_it() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("4711", birth="", sex="")))
    study = ward.store()
    assert ward.study(study)[2:5] == ("DOE^JANE", "19700102", "F")


def test_studies_that_come_later_have_the_patient_data_of_the_messages() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("4711", "DOE^JANE^MARY", "19700102")))
    study = ward.store(name="DOE^JANE", birth="")
    assert (ward.study(study), ward.why) == (("4711", "HOSP", "DOE^JANE^MARY", "19700102", "F", ""), "")
    ward.store(study=study, name="doe^jane", series="2.25.8.1")
    assert ward.why == "" and len(ward.rows("SELECT 1 FROM patients")) == 1
    ward.sound()


def test_objects_of_somebody_else_under_a_known_id_are_marked() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("4711", "DOE^JANE", "19700102")))
    study = ward.store(name="ROE^RICHARD", birth="19500505", sex="M")
    assert ward.why and ward.study(study)[2:5] == ("ROE^RICHARD", "19500505", "M")
    ward.hear(adt("A08", pid("4711", "DOE^JANE", "19700102", f13="555")))
    assert ward.study(study)[2] == "ROE^RICHARD" and ward.study(study)[5]
    right = ward.store(name="DOE^JANE")
    assert ward.study(right)[2:6] == ("DOE^JANE", "19700102", "F", "")
    ward.sound()


def test_a_former_name_is_no_contradiction() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("4711", "DOE^JANE", "")), adt("A08", pid("4711", "SMITH^MARY", "")))
    study = ward.store(name="DOE^JANE", birth="")
    assert (ward.why, ward.study(study)[2]) == ("", "SMITH^MARY")


def test_a_patient_first_heard_of_who_contradicts_a_study_does_not_get_it() -> None:
    ward = Ward()
    study = ward.store(name="ROE^RICHARD", birth="19500505")
    ward.hear(adt("A01", pid("4711", "DOE^JANE", "19700102")))
    assert ward.study(study)[:3] == ("4711", "", "ROE^RICHARD") and ward.study(study)[5]
    ward.sound()


class TestMerges:
    def test_studies_go_along_and_late_ones_too(self) -> None:
        ward = Ward()
        early = ward.store("A")
        own = ward.store("B")
        ward.hear(merge("A", "B"))
        late = ward.store("A")
        assert ward.why == ""
        assert {ward.study(s)[:2] for s in (early, own, late)} == {("B", "HOSP")}
        assert len(ward.rows("SELECT 1 FROM patients")) == 1
        assert studies(ward, search="a") and set(ward.rows("SELECT study, patient_id FROM former_identities")) == {
            (early, "A"), (own, "B"), (late, "A"),
        }  # fmt: skip
        ward.sound()

    def test_more_objects_of_a_study_that_went_along_contradict_nothing(self) -> None:
        ward = Ward()
        study = ward.store("A")
        ward.hear(merge("A", "B"))
        ward.store("A", study=study)
        ward.store("A", study=study, series="2.25.8.1", name="DOE^J")
        ward.store("B", study=study, series="2.25.8.2")
        assert (ward.why, ward.study(study)[5]) == ("", "")
        ward.store("Z", study=study, series="2.25.8.3")
        assert ward.why and ward.study(study)[5]
        assert ward.one("SELECT instances FROM studies WHERE study=?", study) == 5

    def test_an_unknown_prior_id_is_remembered(self) -> None:
        ward = Ward()
        ward.hear(merge("A", "B"), merge("B", "C"))
        study = ward.store("A")
        assert ward.study(study)[:2] == ("C", "HOSP")

    def test_chains(self) -> None:
        ward = Ward()
        first, second, third = (ward.store(each) for each in "ABC")
        ward.hear(merge("A", "B"), merge("B", "C"))
        assert {ward.study(s)[0] for s in (first, second, third)} == {"C"}
        ward.sound()

    def test_a_refused_circle_leaves_everything_where_it_is(self) -> None:
        ward = Ward()
        first, second = ward.store("A"), ward.store("B")
        ward.hear(merge("A", "B"))
        ward.refused(merge("B", "A"))
        assert ward.study(first)[0] == ward.study(second)[0] == "B"

    def test_the_old_id_is_found_by_searching(self) -> None:
        ward = Ward()
        study = ward.store("OLD77")
        ward.hear(merge("OLD77", "B"))
        ward.store("OLD77", study=study, series="2.25.8.1", accession="ACC")
        assert studies(ward, search="old77") == [study]

    def test_a_change_of_id(self) -> None:
        ward = Ward()
        study = ward.store("A")
        ward.hear(adt("A47", pid("B"), "MRG|A^^^HOSP"))
        late = ward.store("A")
        assert ward.study(study)[0] == ward.study(late)[0] == "B"
        assert ward.one("SELECT sum(patients) FROM daily") == 1
        ward.sound()


class TestIssuers:
    def test_studies_of_another_issuer_are_left_alone(self) -> None:
        ward = Ward()
        study = ward.store("4711", issuer="OTHER")
        ward.hear(adt("A08", pid("4711", NEW)))
        assert ward.study(study)[:3] == ("4711", "OTHER", "DOE^JANE")

    def test_an_id_without_issuer_with_two_known_ones_is_left_alone(self) -> None:
        ward = Ward()
        ward.hear(adt("A01", pid("7^^^ALPHA", NEW)), adt("A01", pid("7^^^BETA", NEW)))
        study = ward.store("7")
        ward.hear(adt("A08", pid("7^^^ALPHA", "SMITH^ANN")))
        assert ward.study(study)[:3] == ("7", "", "DOE^JANE")

    def test_the_local_issuer_has_those_without_one(self) -> None:
        ward = Ward(local_issuer="BETA")
        ward.hear(adt("A01", pid("7^^^ALPHA", "DOE^ALPHA")))
        study = ward.store("7", name="DOE^X")
        assert ward.study(study)[:3] == ("7", "", "DOE^X")
        ward.hear(adt("A01", pid("7^^^BETA", "DOE^BETA")))
        assert ward.study(study)[:3] == ("7", "BETA", "DOE^BETA")

    def test_no_id_is_nobodys(self) -> None:
        ward = Ward()
        first, second = ward.store(""), ward.store("")
        ward.hear(adt("A01", pid("1")), merge("1", "2"))
        assert len(ward.rows("SELECT 1 FROM patients")) == 2
        assert ward.study(first)[0] == ward.study(second)[0] == ""


def test_orders_tell_the_index_too() -> None:
    ward = Ward()
    study = ward.store()
    ward.hear(order("4711", "7"))
    assert ward.study(study)[1] == "HOSP"


@pytest.mark.parametrize("first", [True, False])
def test_other_ids_are_found_by_searching(first: bool) -> None:
    ward = Ward()
    told = adt("A01", pid("4711^^^HOSP^MR~123-45^^^STATE^SS"))
    if first:
        ward.hear(told)
    study = ward.store()
    ward.hear(told)
    assert studies(ward, search="123-45") == [study]


def test_nothing_is_written_where_nothing_changes() -> None:
    ward = Ward()
    ward.store()
    told = adt("A08", pid("4711", NEW))
    ward.hear(told)
    before = ward.everything()
    ward.hear(told)
    assert ward.everything() == before


def test_a_late_study_of_an_unknown_patient_who_was_merged_is_the_survivors_whatever_it_was_called() -> None:
    ward = Ward()
    ward.hear(merge("TRAUMA12", "B"))
    study = ward.store("TRAUMA12", name="UNKNOWN^TRAUMA", birth="19000101")
    assert (ward.study(study)[0], ward.study(study)[2], ward.why) == ("B", "DOE^JANE", "")


def test_an_issuer_that_comes_later_comes_to_the_studies_too() -> None:
    ward = Ward()
    study = ward.store("7")
    bare = pid("7").replace("7^^^HOSP^MR", "7")
    ward.hear(adt("A01", bare), adt("A08", pid("7")))
    assert ward.study(study)[:2] == ("7", "HOSP")
    ward.sound()


class TestUndo:
    def test_a_merge_is_undone_with_what_went_along_and_what_came_since(self) -> None:
        ward = Ward()
        prior = pid("A", "ROE^RICHARD", "19500505", "M")
        ward.hear(adt("A01", prior), adt("A01", pid("B", "DOE^JANE")), order(prior, "1"))
        early = ward.store("A", name="ROE^RICHARD", birth="19500505")
        own = ward.store("B")
        ward.hear(merge("A", "B"))
        late = ward.store("A", name="ROE^R", birth="19500505")
        assert {ward.study(study)[0] for study in (early, own, late)} == {"B"}
        unmerging.undo(ward.connection, 1, moment(ward.at))
        ward.index.forget_known()
        assert {ward.study(study)[:3] for study in (early, late)} == {("A", "HOSP", "ROE^RICHARD")}
        assert ward.study(own)[:3] == ("B", "HOSP", "DOE^JANE")
        assert ward.rows("SELECT p.patient_id FROM orders o JOIN persons p ON p.id = o.person") == [("A",)]
        ward.store("A", study=early, series="2.25.8.1", name="ROE^RICHARD")
        assert ward.why == ""
        ward.store("B", study=early, series="2.25.8.2")
        assert ward.why
        stranger = ward.store("B", name="ROE^RICHARD", birth="19500505")
        assert ward.study(stranger)[5]
        ward.sound()
        with pytest.raises(BadRequest, match="undone already"):
            unmerging.undo(ward.connection, 1, moment(ward.at))

    def test_studies_of_an_unknown_prior_patient_have_their_own_data_again(self) -> None:
        ward = Ward()
        study = ward.store("A", name="UNKNOWN^TRAUMA", birth="19000101")
        ward.hear(merge("A", "B"))
        assert ward.study(study)[:3] == ("B", "HOSP", "DOE^JANE")
        unmerging.undo(ward.connection, 1, moment(ward.at))
        assert ward.study(study)[:4] == ("A", "HOSP", "UNKNOWN^TRAUMA", "19000101")
        ward.sound()

    def test_the_first_merge_of_a_chain(self) -> None:
        ward = Ward()
        study = ward.store("A")
        ward.hear(merge("A", "B"), merge("B", "C"))
        unmerging.undo(ward.connection, 1, moment(ward.at))
        assert ward.study(study)[0] == "A"
        assert ward.rows("SELECT patient_id FROM persons WHERE merged_into != 0") == [("B",)]
        ward.sound()
