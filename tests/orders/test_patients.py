"""ADT: what messages make of patients."""

from __future__ import annotations

import pytest

from tests.orders.ward import Ward, adt, merge, message, obr, orc, order, orm, pid


def test_an_admission_makes_a_patient_and_an_update_changes_it() -> None:
    ward = Ward()
    told = ward.hear(adt("A01", pid("4711", "DOE^JANE^^^DR"), "PV1|1|I|WARD 3^12^2||||77^HOUSE^ANN^^^DR"))
    assert (told.code, told.patient) == ("AA", "4711")
    assert ward.person("4711") == ("DOE^JANE^^DR", "19700102", "F")
    assert ward.body("4711")["visit"] == {
        "class": "I", "location": "WARD 3 12 2", "attending": "HOUSE^ANN^^DR", "status": "admitted",
    }  # fmt: skip
    ward.hear(adt("A08", pid("4711", "SMITH^JANE", "19700201", "F")))
    assert ward.person("4711") == ("SMITH^JANE", "19700201", "F")


def test_null_deletes_and_empty_leaves() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("1", f11="1 Elm St^^Town^^12345", f13="555-1"), "AL1|1|DA|^Penicillin", "PV1|1|I|W1"))
    ward.hear(adt("A08", pid("1", "", '""', "", f11='""'), 'PV1|1||""'))
    assert ward.person("1") == ("DOE^JANE", "", "F")
    body = ward.body("1")
    assert "address" not in body and body["phone"] == "555-1"
    assert body["visit"] == {"class": "I", "status": "admitted"}
    assert body["allergies"] == ["Penicillin"]
    ward.hear(adt("A08", pid("1", "", "", ""), 'AL1|1||""'))
    assert "allergies" not in ward.body("1")


@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        ("DOE^JANE^MARY^^DR", "DOE^JANE", "DOE^JANE^MARY^DR"),  # the same person, told in short
        ("DOE^JANE^MARY", 'DOE^JANE^""', "DOE^JANE"),
        ("DOE^JANE^MARY", "SMITH^JANE", "SMITH^JANE"),  # another name as a whole: nothing of the old one stays
        ("DOE^JANE^MARY", "^JANE^ANN", "DOE^JANE^ANN"),
        ("DOE^JANE", '""', ""),
        ("DOE^JANE", "", "DOE^JANE"),
    ],
)
def test_components_of_a_name(before: str, update: str, after: str) -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("1", before)), adt("A08", pid("1", update)))
    assert ward.person("1")[0] == after


def test_the_legal_name_counts_and_representations_are_groups_of_one_name() -> None:
    ward = Ward()
    nick = "DOE^JENNY^^^^^N"
    legal = "YAMADA^TARO^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"
    ward.hear(adt("A01", pid("1", f"{nick}~{legal}")))
    assert ward.person("1")[0] == "YAMADA^TARO=山田^太郎=やまだ^たろう"
    ward.hear(adt("A08", pid("1", "YAMADA^TARO^^^^^L")))
    assert ward.person("1")[0] == "YAMADA^TARO=山田^太郎=やまだ^たろう"


def test_what_dicom_cannot_hold_is_told() -> None:
    ward = Ward()
    told = ward.hear(adt("A01", pid("1", "X" * 70 + "^JANE", "1970", "Q")))
    assert told.code == "AA"
    assert ward.person("1") == ("X" * 64, "", "")
    assert [(fault.field, fault.severity) for fault in told.faults] == [(5, "W"), (7, "W"), (8, "W")]
    fault = ward.refused(adt("A01", pid("9" * 65)))
    assert (fault.segment, fault.field, fault.component) == ("PID", 3, 1)


def test_escaped_delimiters_of_names_do_not_break_dicom_names() -> None:
    ward = Ward()
    told = ward.hear(adt("A01", pid("1", r"SMITH\T\SONS^A\S\N=N")))
    assert ward.person("1")[0] == "SMITH&SONS^A N N"
    assert told.faults


@pytest.mark.parametrize(("given", "kept"), [("M", "M"), ("F", "F"), ("O", "O"), ("A", "O"), ("N", "O"), ("U", "")])
def test_sex_of_table_0001(given: str, kept: str) -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("1", sex=given)))
    assert ward.person("1")[2] == kept


def test_the_patient_id_is_that_of_a_preferred_issuer_then_mr_then_pi() -> None:
    both = "123^^^STATE^SS~B7^^^CLINIC^PI~4711^^^HOSP^MR"
    ward = Ward()
    ward.hear(adt("A01", pid(both)))
    assert ward.rows("SELECT patient_id, issuer FROM persons") == [("4711", "HOSP")]
    assert ward.body("4711")["other_ids"] == [["123", "STATE", "SS"], ["B7", "CLINIC", "PI"]]
    ward = Ward(issuers=["CLINIC"])
    ward.hear(adt("A01", pid(both)))
    assert ward.rows("SELECT patient_id, issuer FROM persons") == [("B7", "CLINIC")]
    ward = Ward()
    ward.hear(adt("A01", "PID|1|OLD7^^^HOSP||||"))
    assert ward.rows("SELECT patient_id, issuer FROM persons") == [("OLD7", "HOSP")]


def test_a_patient_without_id_is_refused() -> None:
    fault = Ward().refused(adt("A01", pid("")))
    assert (fault.segment, fault.field, fault.condition) == ("PID", 3, 101)
    fault = Ward().refused(adt("A01"))
    assert (fault.segment, fault.condition) == ("PID", 101)


def test_an_update_before_the_admission_by_setting() -> None:
    ward = Ward()
    assert ward.hear(adt("A08", pid("1"))).code == "AA"
    ward = Ward(update_unknown="refuse")
    fault = ward.refused(adt("A31", pid("1")))
    assert (fault.segment, fault.field, fault.condition) == ("PID", 3, 204)
    assert ward.hear(adt("A01", pid("1")), adt("A31", pid("1", "X^Y"))).code == "AA"


def test_messages_count_in_the_order_of_arrival() -> None:
    ward = Ward()
    ward.hear(adt("A08", pid("1", "NEW^JANE")), adt("A01", pid("1", "OLD^JANE")))
    assert ward.person("1")[0] == "OLD^JANE"


def test_visits() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("1"), "PV1|1|I|W1^1" + "|" * 12 + "B6" + "|" * 29 + "20260101080000"))
    assert ward.body("1")["visit"] == {
        "class": "I", "location": "W1 1", "status": "admitted", "admitted": "20260101T080000",
    }  # fmt: skip
    assert ward.body("1")["pregnancy"] == 3
    ward.hear(adt("A02", pid("1"), "PV1|1|I|W2"), adt("A12", pid("1"), "PV1|1|I|W1"))
    assert ward.body("1")["visit"]["location"] == "W1"
    ward.hear(adt("A03", pid("1"), "PV1|1|I|W1" + "|" * 42 + "20260103090000"))
    assert (ward.body("1")["visit"]["status"], ward.body("1")["visit"]["discharged"]) == (
        "discharged",
        "20260103T090000",
    )
    ward.hear(adt("A13", pid("1"), "PV1|1|I"))
    assert ward.body("1")["visit"]["status"] == "admitted" and "discharged" not in ward.body("1")["visit"]
    ward.hear(adt("A11", pid("1"), "PV1|1|I"))
    assert ward.body("1")["visit"] == {"class": "I"}


@pytest.mark.parametrize("event", ["A99", "", "A37"])
def test_events_that_are_not_supported(event: str) -> None:
    outcome = Ward().hear(adt(event, pid("1")))
    assert (outcome.code, outcome.faults[0].condition) == ("AR", 201)


def test_other_messages() -> None:
    outcome = Ward().hear(message("SIU^S12", pid("1")))
    assert (outcome.code, outcome.faults[0].condition) == ("AR", 200)
    assert Ward().hear(message("ORU^R01", pid("1"), "OBX|1|TX|||text")).code == "AA"
    assert Ward().hear(adt("A41", pid("1"), "MRG|1")).code == "AA"


def test_an_id_without_issuer_is_that_of_the_only_one_known_for_it() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("7^^^ALPHA")), adt("A08", pid("7", "NEW^JANE").replace("7^^^HOSP^MR", "7")))
    assert ward.person("7", "ALPHA")[0] == "NEW^JANE"
    ward.hear(adt("A01", pid("7^^^BETA", "ROE^RICHARD")))
    fault = ward.refused(adt("A08", pid("7", "X^Y").replace("7^^^HOSP^MR", "7")))
    assert (fault.segment, fault.field, fault.component, fault.condition) == ("PID", 3, 4, 204)


def test_an_issuer_that_comes_later_is_that_of_the_patient_known_without_one() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("7", "DOE^JANE").replace("7^^^HOSP^MR", "7")), adt("A08", pid("7", "SMITH^JANE")))
    assert ward.rows("SELECT patient_id, issuer, name FROM persons") == [("7", "HOSP", "SMITH^JANE")]


def test_the_local_issuer() -> None:
    ward = Ward(local_issuer="HOSP")
    ward.hear(adt("A01", pid("7^^^ALPHA", "ROE^RICHARD")), adt("A01", pid("7").replace("7^^^HOSP^MR", "7")))
    assert ward.person("7", "HOSP")[0] == "DOE^JANE" and ward.person("7", "ALPHA")[0] == "ROE^RICHARD"


class TestMerges:
    def test_a_merge_takes_orders_along_and_late_messages_for_the_old_id_reach_the_survivor(self) -> None:
        ward = Ward()
        ward.hear(adt("A01", pid("A", "DOE^JANE")), order("A", "1"), adt("A01", pid("B", "DOE^JANE")), merge("A", "B"))
        (survivor,) = ward.rows("SELECT id FROM persons WHERE patient_id='B'")[0]
        assert ward.rows("SELECT person FROM orders") == [(survivor,)]
        told = ward.hear(order("A", "2"))
        assert told.code == "AA"
        assert ward.rows("SELECT person FROM orders") == [(survivor,), (survivor,)]
        ward.hear(adt("A08", pid("A", "WRONG^NAME")))
        assert ward.person("B")[0] == "DOE^JANE"
        ward.sound()

    def test_chains_are_resolved(self) -> None:
        ward = Ward()
        ward.hear(order("A", "1"), merge("A", "B"), merge("B", "C"), merge("X", "A"))
        last = ward.one("SELECT id FROM persons WHERE patient_id='C'")
        assert ward.rows("SELECT DISTINCT merged_into FROM persons WHERE patient_id != 'C'") == [(last,)]
        assert ward.rows("SELECT person FROM orders") == [(last,)]
        ward.sound()

    def test_self_and_circular_merges_are_refused(self) -> None:
        ward = Ward()
        ward.hear(adt("A01", pid("A")), adt("A01", pid("B")))
        for text in (merge("A", "A"),):
            fault = ward.refused(text)
            assert (fault.segment, fault.field, fault.component, fault.condition) == ("MRG", 1, 1, 205)
        ward.hear(merge("A", "B"))
        assert ward.refused(merge("B", "A")).condition == 205
        ward.hear(merge("B", "C"))
        assert ward.refused(merge("C", "A")).condition == 205
        assert ward.refused(merge("A", "D")).text == "A (HOSP) was merged into C (HOSP) before, and not into D (HOSP)"
        ward.sound()

    def test_a_repeated_merge_changes_nothing(self) -> None:
        ward = Ward()
        ward.hear(merge("A", "B"), merge("B", "C"))
        before = ward.everything()
        assert ward.hear(merge("A", "B")).code == "AA"
        assert ward.everything() == before

    def test_several_pairs_of_one_message_are_done_together_or_not_at_all(self) -> None:
        ward = Ward()
        two = adt("A40", pid("B"), "MRG|A^^^HOSP", pid("D"), "MRG|C^^^HOSP")
        assert ward.hear(two).code == "AA"
        assert len(ward.rows("SELECT 1 FROM persons WHERE merged_into != 0")) == 2
        half = adt("A40", pid("F"), "MRG|E^^^HOSP", pid("G"), "MRG|G^^^HOSP")
        assert ward.refused(half).condition == 205

    def test_the_prior_id_is_told_apart_from_further_ids(self) -> None:
        ward = Ward()
        ward.hear(adt("A40", pid("B^^^HOSP^MR~99^^^STATE^SS"), "MRG|12^^^STATE^SS~A^^^HOSP^MR"))
        assert ward.rows("SELECT patient_id FROM persons ORDER BY 1") == [("A",), ("B",)]

    def test_a_prior_id_without_issuer_has_that_of_the_survivor(self) -> None:
        ward = Ward()
        ward.hear(adt("A01", pid("A")), adt("A40", pid("B"), "MRG|A"))
        assert len(ward.rows("SELECT 1 FROM persons WHERE merged_into != 0")) == 1

    def test_a_merge_without_prior_id_is_refused(self) -> None:
        assert Ward().refused(adt("A40", pid("B"))).segment == "MRG"
        assert Ward().refused(adt("A40", pid("B"), "MRG|")).field == 1

    @pytest.mark.parametrize("event", ["A18", "A34", "A36", "A39", "A40"])
    def test_older_events_merge_too(self, event: str) -> None:
        ward = Ward()
        ward.hear(adt(event, pid("B"), "MRG|A^^^HOSP"))
        assert len(ward.rows("SELECT 1 FROM persons WHERE merged_into != 0")) == 1


class TestChangeOfId:
    @pytest.mark.parametrize("event", ["A46", "A47"])
    def test_the_old_id_still_means_the_patient(self, event: str) -> None:
        ward = Ward()
        ward.hear(adt("A01", pid("A")), order("A", "1"), adt(event, pid("B"), "MRG|A^^^HOSP"), order("A", "2"))
        (now,) = ward.rows("SELECT id FROM persons WHERE patient_id='B'")[0]
        assert ward.rows("SELECT person FROM orders") == [(now,), (now,)]
        before = ward.everything()
        assert ward.hear(adt(event, pid("B"), "MRG|A^^^HOSP")).code == "AA"
        assert ward.everything() == before
        ward.sound()

    def test_an_id_that_another_patient_has_is_refused(self) -> None:
        ward = Ward()
        ward.hear(adt("A01", pid("A")), adt("A01", pid("B")))
        fault = ward.refused(adt("A47", pid("B"), "MRG|A^^^HOSP"))
        assert (fault.segment, fault.field, fault.condition) == ("PID", 3, 205)

    def test_a_change_of_account_changes_no_id(self) -> None:
        ward = Ward()
        ward.hear(adt("A01", pid("A")), adt("A49", pid("A", "SMITH^JANE"), "MRG|A^^^HOSP||ACC1"))
        assert ward.rows("SELECT patient_id, name, merged_into FROM persons") == [("A", "SMITH^JANE", 0)]


def test_orders_tell_of_patients_too() -> None:
    ward = Ward()
    ward.hear(orm(pid("1", "FIRST^JANE"), orc("NW", "1"), obr("1")))
    assert ward.person("1")[0] == "FIRST^JANE"


def test_what_modalities_want_to_know_of_a_patient() -> None:
    ward = Ward()
    ward.hear(
        adt(
            "A08", pid("1"), "AL1|1|DA|^Penicillin", "AL1|2|MC|^Pacemaker", "OBX|1|NM|3141-9^Weight^LN||7250|g",
            "OBX|2|NM|3141-9^Weight^LN||72.5|kg", "OBX|3|NM|8302-2^Height^LN||168|cm",
            "OBX|4|NM|8302-2^Height^LN||tall|cm",
            "OBX|5|CE|82810-3^Pregnancy^LN||LA26683-5^No^LN",
        )
    )  # fmt: skip
    body = ward.body("1")
    assert (body["allergies"], body["alerts"]) == (["Penicillin"], ["Pacemaker"])
    assert (body["weight_kg"], body["size_m"], body["pregnancy"]) == ("72.5", "1.68", 1)
    ward.hear(adt("A08", pid("1"), 'AL1|1||""', 'OBX|1|NM|3141-9^Weight^LN||""|kg', 'OBX|5|CE|82810-3||""'))
    assert not ward.body("1").keys() & {"allergies", "alerts", "weight_kg", "pregnancy"}


def test_what_a_message_changed_is_told_first_and_what_it_only_named_last() -> None:
    ward = Ward()
    ward.hear(adt("A01", pid("1")))
    assert ward.hear(adt("A08", pid("1"))).done.endswith("as before")
    told = ward.hear(order("1", "A1")).done
    assert told.startswith("new order")
    assert told.endswith("as before")
    assert ward.hear(adt("A08", pid("1", "SMITH^JANE"))).done.endswith("changed")
