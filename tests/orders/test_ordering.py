"""Orders: what messages make of requested procedures and scheduled procedure steps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.orders.ward import Ward, adt, message, obr, orc, order, orm, pid

ORDER = "SELECT placer, filler, accession, procedure_id, study, state, code, scheme, description FROM orders"
STEP = "SELECT step_id, modality, station_ae, room, date, time, description, state FROM steps ORDER BY id"


def body(ward: Ward, number: int = 1) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(ward.one("SELECT body FROM orders WHERE id=?", number))
    return read


def test_a_new_order_is_a_procedure_with_a_step() -> None:
    ward = Ward()
    text = orm(
        "4711", "PV1|1|O||||||77^REFERRER^RUTH", orc("NW", "1", f5="SC", f12="9^ORDERER^OTTO"),
        obr("1", f5="S", f13="claustrophobic", f18="ACC1", f19="RP1", f20="SPS1", f31="^cough", f34="5^TECH^TINA"),
        "NTE|1||bring old films", "DG1|1||J18^pneumonia", "ZDS|2.25.77^PACS^Application^DICOM",
    )  # fmt: skip
    told = ward.hear(text)
    assert (told.code, told.patient, told.accession) == ("AA", "4711", "ACC1")
    assert told.done.endswith("new order ACC1 for CT at 2026-01-02 10:30")
    assert ward.rows(ORDER) == [("1", "F1", "ACC1", "RP1", "2.25.77", "scheduled", "CTTHO", "LOCAL", "CT thorax")]
    assert ward.rows(STEP) == [("SPS1", "CT", "", "", "20260102", "103000", "CT thorax", "scheduled")]
    assert ward.rows("SELECT priority, referring, requesting, reason FROM orders") == [
        ("STAT", "REFERRER^RUTH", "ORDERER^OTTO", "cough")
    ]
    assert ward.one("SELECT physician FROM steps") == "TECH^TINA"
    assert json.loads(ward.one("SELECT codes FROM steps")) == [["CTTHO", "LOCAL", "CT thorax"]]
    kept = body(ward)
    assert (kept["comments"], kept["diagnoses"], kept["information"]) == (
        "bring old films",
        "pneumonia",
        "claustrophobic",
    )
    assert kept["history"] == [kept["history"][0]] and kept["history"][0].endswith("ordered by RIS")
    ward.sound()


def test_the_same_order_sent_again_changes_nothing() -> None:
    ward = Ward()
    ward.hear(order("1", "7"))
    before = ward.everything()
    assert ward.hear(order("1", "7")).done.startswith("order F7 as it was; ")
    assert ward.everything() == before
    assert ward.rows("SELECT 1 FROM orders") == [(1,)]


def test_what_nobody_sent_is_made_and_stays() -> None:
    ward = Ward()
    bare = orm("1", "ORC|NW|7", obr("", f2="7", f3="", f36=""))
    ward.hear(bare)
    ((_, _, accession, procedure, study, *_),) = ward.rows(ORDER)
    ((step, _, _, _, date, time, *_),) = ward.rows(STEP)
    assert accession == "7" and procedure and step and study.startswith("2.25.") and len(study) <= 64 and date and time
    before = ward.everything()
    ward.hear(bare)
    assert ward.everything() == before


@pytest.mark.parametrize(
    ("policy", "accession"), [("filler", "F7"), ("placer", "7"), ("made", "A00000001"), ("refuse", None)]
)
def test_the_accession_number_by_policy(policy: str, accession: str | None) -> None:
    ward = Ward(accession=policy)
    if accession is None:
        fault = ward.refused(order("1", "7"))
        assert (fault.segment, fault.field, fault.condition) == ("OBR", 18, 101)
        return
    ward.hear(order("1", "7"))
    assert ward.one("SELECT accession FROM orders") == accession


def test_a_number_too_long_for_an_accession_number_is_not_used_as_one() -> None:
    ward = Ward()
    ward.hear(order("1", "7" * 20))
    assert ward.one("SELECT accession FROM orders") == "A00000001"


def test_a_change_changes_what_it_names() -> None:
    ward = Ward()
    ward.hear(order("1", "7", f18="ACC"), order("1", "7", "XO", f24="MR", f36="20260105080000", f4="", f18=""))
    assert ward.rows("SELECT accession, description FROM orders") == [("ACC", "CT thorax")]
    assert ward.rows(STEP)[0][1:6] == ("MR", "", "", "20260105", "080000")
    assert "time 2026-01-02 10:30 to 2026-01-05 08:00; modality CT to MR" in body(ward)["history"][1]


def test_a_change_of_an_unknown_order_by_setting() -> None:
    ward = Ward()
    assert ward.hear(order("1", "7", "XO")).code == "AA"
    fault = Ward(change_unknown="refuse").refused(order("1", "7", "XO"))
    assert (fault.segment, fault.field, fault.condition) == ("ORC", 2, 204)


@pytest.mark.parametrize("control", ["CA", "OC", "CR", "DC", "RU"])
def test_a_cancelled_order(control: str) -> None:
    ward = Ward()
    ward.hear(order("1", "7"), orm("1", orc(control, "7")))
    assert ward.one("SELECT state FROM orders") == ward.one("SELECT state FROM steps") == "cancelled"
    before = ward.everything()
    ward.hear(orm("1", orc(control, "7")))
    assert ward.everything() == before
    told = ward.hear(order("1", "7", "XO", f24="MR"))
    assert told.faults and ward.one("SELECT state FROM steps") == "cancelled"
    ward.hear(order("1", "7"))
    assert ward.one("SELECT state FROM orders") == ward.one("SELECT state FROM steps") == "scheduled"


def test_what_has_begun_is_not_cancelled_nor_changed() -> None:
    ward = Ward()
    ward.hear(order("1", "7", f18="ACC"))
    ward.connection.execute("UPDATE steps SET state='in progress'")
    ward.connection.execute("UPDATE orders SET state='in progress'")
    told = ward.hear(orm("1", orc("CA", "7")))
    assert told.code == "AA" and told.faults[0].text == "order ACC had begun: in progress"
    assert ward.one("SELECT state FROM orders") == "in progress"
    study = ward.one("SELECT study FROM orders")
    told = ward.hear(orm("1", orc("XO", "7"), obr("7", f24="MR"), "ZDS|2.25.5"))
    assert (
        told.faults and ward.one("SELECT modality FROM steps") == "CT" and ward.one("SELECT study FROM orders") == study
    )


def test_unknown_orders_and_codes_are_refused_with_the_field() -> None:
    ward = Ward()
    fault = ward.refused(orm("1", orc("CA", "7")))
    assert (fault.segment, fault.field, fault.condition) == ("ORC", 2, 204)
    fault = ward.refused(order("1", "7", "ZZ"))
    assert (fault.segment, fault.field, fault.component, fault.condition) == ("ORC", 1, 1, 103)
    fault = ward.refused(orm("1", "ORC|NW", obr("")))
    assert (fault.segment, fault.field, fault.condition) == ("ORC", 2, 101)
    fault = ward.refused(orm("1", orc("NW", "7")))
    assert (fault.segment, fault.condition) == ("OBR", 101)
    fault = ward.refused(order("1", "7", f24=""))
    assert (fault.segment, fault.field, fault.condition) == ("OBR", 24, 101)
    fault = ward.refused(order("1", "7", f24="RAD"))
    assert (fault.segment, fault.field) == ("OBR", 24)
    fault = ward.refused(orm("", orc("NW", "7"), obr("7")))
    assert (fault.segment, fault.condition) == ("PID", 101)
    fault = ward.refused(orm("1"))
    assert (fault.segment, fault.condition) == ("ORC", 101)
    fault = ward.refused(orm("1", orc("NW", "7"), obr("7"), "ZDS|1.2.x"))
    assert (fault.segment, fault.field) == ("ZDS", 1)


def test_an_order_of_another_patient_is_left_alone() -> None:
    ward = Ward()
    ward.hear(order("1", "7"))
    fault = ward.refused(order("2", "7", "XO"))
    assert (fault.segment, fault.field, fault.condition) == ("PID", 3, 205)


def test_numbers_are_those_of_their_sender() -> None:
    ward = Ward()
    other = message("ORM^O01", pid("2"), orc("NW", "7"), obr("7"), sender=("OTHER", "CLINIC"))
    ward.hear(order("1", "7"), other)
    assert len(ward.rows("SELECT 1 FROM orders")) == 2


def test_hold_and_release() -> None:
    ward = Ward()
    ward.hear(order("1", "7"), orm("1", orc("HD", "7")))
    assert body(ward)["held"] is True
    ward.hear(orm("1", orc("RL", "7")))
    assert "held" not in body(ward)


def test_status() -> None:
    ward = Ward()
    ward.hear(order("1", "7"), orm("1", orc("SC", "7", f5="IP")))
    assert ward.one("SELECT state FROM steps") == "in progress"
    ward.hear(orm("1", orc("SC", "7", f5="CM")), orm("1", orc("SC", "7", f5="IP")))
    assert ward.one("SELECT state FROM steps") == ward.one("SELECT state FROM orders") == "completed"


def test_the_filler_gives_its_number_later() -> None:
    ward = Ward()
    ward.hear(orm("1", "ORC|NW|7", obr("", f2="7", f3="")), orm("", "ORC|NA|7|F9"), orm("", "ORC|SC||F9||IP"))
    assert ward.rows("SELECT placer, filler, state FROM orders") == [("7", "F9", "in progress")]


def test_several_obr_are_a_procedure_each_and_those_with_one_procedure_id_are_steps_of_it() -> None:
    ward = Ward()
    ward.hear(orm("1", orc("NW", "7"), obr("7"), orc("NW", "8"), obr("8", code="CTABD^CT abdomen^LOCAL"), "ZDS|2.25.9"))
    assert ward.rows("SELECT placer, study FROM orders ORDER BY id") == [("7", "2.25.9"), ("8", "2.25.9")]
    ward = Ward()
    shared = orm("1", orc("NW", "7"), obr("7"), obr("7", code="CTABD^CT abdomen^LOCAL"))
    ward.hear(shared)
    assert len(ward.rows("SELECT 1 FROM orders")) == 2
    before = ward.everything()
    ward.hear(shared)
    assert ward.everything() == before
    ward = Ward()
    ward.hear(
        orm("1", orc("NW", "7"), obr("7", f19="RP", f20="S1"), orc("NW", "7"), obr("7", f19="RP", f20="S2", f24="MR"))
    )
    assert ward.rows("SELECT step_id, modality FROM steps") == [("S1", "CT"), ("S2", "MR")]
    assert len(ward.rows("SELECT 1 FROM orders")) == 1


def test_omg_with_timing() -> None:
    ward = Ward()
    ward.hear(orm("1", orc("NW", "7"), "TQ1|1||||||202601070915||A", obr("7", f36=""), kind="OMG^O19^OMG_O19"))
    assert ward.rows(STEP)[0][4:6] == ("20260107", "091500")
    assert ward.one("SELECT priority FROM orders") == "HIGH"


def test_omi_with_procedure_steps() -> None:
    ward = Ward()
    ipc = "IPC|ACC7|RP7|2.25.123|{}|MR^^DCM|PROT^head^LOCAL|STATION1|^room 3|{}"
    told = ward.hear(orm("1", orc("NW", "7"), obr("7", f24=""), ipc.format("S1", "MR1"), ipc.format("S2", "MR2"),
                         kind="OMI^O23^OMI_O23"))  # fmt: skip
    assert told.accession == "ACC7"
    assert ward.rows(ORDER)[0][2:5] == ("ACC7", "RP7", "2.25.123")
    assert [row[:4] for row in ward.rows(STEP)] == [("S1", "MR", "MR1", "room 3"), ("S2", "MR", "MR2", "room 3")]
    assert json.loads(ward.rows("SELECT codes FROM steps")[0][0]) == [["PROT", "LOCAL", "head"]]
    assert ward.rows("SELECT station_name FROM steps")[0] == ("STATION1",)


def test_children_stand_for_their_parent() -> None:
    ward = Ward()
    ward.hear(
        orm("1", orc("PA", "7"), obr("7"), orc("CH", "7.1", f8="7"), obr("7.1"), orc("CH", "7.2", f8="7"), obr("7.2"))
    )
    assert ward.rows("SELECT placer FROM orders") == [("7.1",), ("7.2",)]
    assert body(ward)["parent"] == "7"


TABLE = [
    {"code": ["CTTHO"], "sender": ["RIS"], "modality": "CT", "station_ae": ["CT1", "CT2"], "room": "2.14",
     "duration_min": 20, "step": "CT body",
     "protocol": ["CTBODY^LOCAL^CT body, standard"]},
    {"code": ["PET*"], "modality": "CT", "station_ae": ["PETCT"], "duration_min": 10, "step": "CT",
     "study": "accession"},
    {"also": True, "modality": "PT", "station_ae": ["PETCT"], "step": "PET"},
    {"description": ["*ultrasound*"], "modality": "US"},
]  # fmt: skip


def test_the_table_of_procedures() -> None:
    ward = Ward(procedures=TABLE)
    ward.hear(order("1", "7", f24=""))
    assert ward.rows(STEP)[0][1:] == ("CT", "CT1\\CT2", "2.14", "20260102", "103000", "CT body", "scheduled")
    assert json.loads(ward.one("SELECT codes FROM steps")) == [["CTBODY", "LOCAL", "CT body, standard"]]
    ward.hear(order("1", "8", f4="X^Abdominal Ultrasound^L", f24=""))
    assert ward.rows(STEP)[1][1] == "US"


def test_a_procedure_of_several_steps() -> None:
    ward = Ward(procedures=TABLE)
    ward.hear(order("1", "7", f4="PETWB^PET whole body^L", f24="", f20="SPS9"))
    assert ward.rows(STEP) == [
        ("SPS9", "CT", "PETCT", "", "20260102", "103000", "CT", "scheduled"),
        ("SPS9-2", "PT", "PETCT", "", "20260102", "104000", "PET", "scheduled"),
    ]
    ward.hear(order("1", "7", "XO", f20="SPS9"))
    assert [(row[0], row[1], row[7]) for row in ward.rows(STEP)] == [
        ("SPS9", "CT", "scheduled"), ("SPS9-2", "PT", "cancelled"),
    ]  # fmt: skip
    ward.hear(order("1", "7", "XO", f4="PETWB^PET whole body^L", f20="SPS9"))
    assert [row[7] for row in ward.rows(STEP)] == ["scheduled", "scheduled"]


def test_procedures_of_one_accession_number_can_be_one_study() -> None:
    ward = Ward(procedures=TABLE)
    for number, code in (("7", "PETWB"), ("8", "PETBR"), ("9", "CTTHO"), ("10", "CTTHO")):
        ward.hear(order("1", number, f4=f"{code}^x^L", f18="ACC"))
    studies = [row[0] for row in ward.rows("SELECT study FROM orders ORDER BY id")]
    assert studies[0] == studies[1] and len(set(studies)) == 3


def test_priorities_and_times_that_cannot_be_read_are_told() -> None:
    ward = Ward()
    told = ward.hear(order("1", "7", f36="tomorrow"))
    assert told.code == "AA" and (told.faults[0].segment, told.faults[0].field) == ("OBR", 36)


def test_an_order_for_a_merged_patient_is_the_survivors_and_stays_changeable_under_both_ids() -> None:
    ward = Ward()
    ward.hear(order("A", "7"), adt("A40", pid("B"), "MRG|A^^^HOSP"))
    assert ward.hear(order("A", "7", "XO", f24="MR")).code == "AA"
    assert ward.hear(order("B", "7", "XO", f24="CR")).code == "AA"
    assert ward.hear(orm("B", orc("CA", "7"))).code == "AA"
    assert len(ward.rows("SELECT 1 FROM orders")) == 1


def test_faults_say_which_of_several_orders_they_are_about() -> None:
    ward = Ward()
    fault = ward.refused(orm("1", orc("NW", "7"), obr("7"), orc("NW", "8"), obr("8", f24="")))
    assert (fault.segment, fault.occurrence, fault.field) == ("OBR", 2, 24)
    fault = ward.refused(orm("1", orc("NW", "7"), obr("7"), orc("ZZ", "8"), obr("8")))
    assert (fault.segment, fault.occurrence) == ("ORC", 2)
