"""What others are told of patients and orders, and when."""

from __future__ import annotations

import pytest

from pacstui.events import Event, OrderChanged, PatientChanged
from pacstui.settings import OrdersSettings
from tests.orders.ward import Ward, adt, merge, order, pid


@pytest.fixture
def ward() -> Ward:
    return Ward()


@pytest.fixture
def told(ward: Ward) -> list[Event]:
    events: list[Event] = []
    ward.bus.subscribe(Event, events.append)
    return events


def test_what_changed_is_told_once_it_is_durable(ward: Ward, told: list[Event]) -> None:
    ward.hear(adt("A01", pid("A")), order("A", "1"), merge("A", "B"))
    ward.applying.committed()
    assert told == []
    ward.applying.kept()
    ward.hear(order("B", "2"))  # of the next transaction
    ward.applying.committed()
    assert [(type(each), vars_of(each)) for each in told] == [(PatientChanged, (1, 2)), (OrderChanged, (1,))]
    ward.applying.kept()
    ward.applying.committed()
    assert vars_of(told[-1]) == (2,)


def test_what_was_rolled_back_is_told_nobody(ward: Ward, told: list[Event]) -> None:
    ward.hear(order("A", "1"))
    ward.applying.kept()
    ward.hear(order("B", "2"))
    ward.applying.forget()
    ward.applying.kept()
    ward.applying.committed()
    assert vars_of(told[-1]) == (1,)


def test_what_is_sent_again_is_no_news(ward: Ward, told: list[Event]) -> None:
    ward.hear(order("A", "1"))
    ward.applying.kept()
    ward.applying.committed()
    told.clear()
    ward.hear(order("A", "1"))
    ward.applying.kept()
    ward.applying.committed()
    assert told == []


def test_changed_settings_count_from_the_next_message(ward: Ward) -> None:
    study = ward.store("7")
    ward.hear(adt("A01", pid("7^^^ALPHA", "X^ALPHA", "")))
    ward.settings = OrdersSettings.model_validate(
        {"local_issuer": "BETA", "procedures": [{"code": ["CTTHO"], "modality": "CT", "room": "2.14"}]}
    )
    ward.hear(order("A", "1"))
    assert ward.one("SELECT room FROM steps") == "2.14"
    ward.hear(adt("A01", pid("7^^^BETA", "DOE^BETA")))
    late = ward.store("7", name="DOE^BETA")
    assert ward.study(late)[1] == "BETA" and ward.study(study)[1] == "ALPHA"


def vars_of(event: Event) -> tuple[int, ...]:
    assert isinstance(event, PatientChanged | OrderChanged)
    return event.persons if isinstance(event, PatientChanged) else event.orders
