"""Which studies go, by which rule and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pacstui.settings import RuleSettings
from pacstui.space.rules import Candidate, Rule, choose, why_kept

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
DAY = 86_400_000_000


def ago(days: float) -> int:
    return round(NOW.timestamp() * 1e6) - round(days * DAY)


def study(key: int = 1, days: float = 400, **changes: object) -> Candidate:
    values: dict[str, object] = {
        "key": key, "study": f"1.2.{key}", "patient_name": "DOE^JANE", "patient_id": "P1",
        "date": f"{NOW - timedelta(days=days):%Y%m%d}", "accession": "", "description": "CT Chest",
        "modalities": ("CT",), "calling": ("CT1",), "conflict": "", "instances": 2, "bytes": 100,
        "received": ago(days), "changed": ago(days),
    }  # fmt: skip
    return Candidate(**{**values, **changes})  # type: ignore[arg-type]


def rule(name: str = "old", days: int = 365, **settings: object) -> Rule:
    return Rule(RuleSettings(name=name, days=days, **settings))  # type: ignore[arg-type]


def names(choices: object) -> list[tuple[str, int]]:
    return [(each.rule.name, each.study.key) for each in choices if not each.kept]  # type: ignore[attr-defined]


def test_a_rule_is_for_what_is_older_than_its_days() -> None:
    assert rule().why(study(days=366.1), NOW) == "received 366 days ago"
    assert rule().why(study(days=365.9), NOW) == ""
    assert rule(by="study date").why(study(days=1, date="20200101"), NOW).startswith("made 2,5")


def test_a_study_without_a_date_is_not_old() -> None:
    for text in ("", "2020", "20201399", "abcdefgh"):
        assert rule(by="study date").why(study(date=text), NOW) == ""


def test_all_conditions_have_to_hold() -> None:
    each = rule(modalities=("US", "ct"), calling=("CT1",), description="*chest*")
    assert each.why(study(), NOW)
    assert not each.why(study(modalities=("MR",)), NOW)
    assert not each.why(study(calling=("CT2",)), NOW)
    assert not each.why(study(description="CT Knee"), NOW)
    assert each.told() == 'received more than 365 days ago, US/ct, from CT1, like "*chest*", in 1 backup'


def test_what_is_doubtful_or_new_stays_whatever_rules_say() -> None:
    assert why_kept(study(), NOW, 24) == ""
    assert "two patients" in why_kept(study(conflict="x"), NOW, 24)
    assert "no good file" in why_kept(study(missing=1), NOW, 24)
    assert "set aside" in why_kept(study(aside=1), NOW, 24)
    assert "last 24 hours" in why_kept(study(changed=ago(0.9)), NOW, 24)


def test_rules_go_one_after_the_other_the_oldest_first() -> None:
    studies = [study(1, 500), study(2, 900, modalities=("US",)), study(3, 700), study(4, 10)]
    first, then = rule("ultrasound", 400, modalities=("US",)), rule("all", 365)
    assert names(choose(studies, [first, then], NOW, 24, False)) == [("ultrasound", 2), ("all", 3), ("all", 1)]


def test_rules_for_a_full_volume_wait_for_that() -> None:
    each = rule(when="full")
    assert names(choose([study()], [each], NOW, 24, False)) == []
    assert names(choose([study()], [each], NOW, 24, True)) == [("old", 1)]


STUDIES = st.builds(
    lambda key, days, modality, conflict, missing, changed: study(
        key, days, modalities=(modality,), conflict=conflict, missing=missing, changed=ago(min(days, changed))
    ),
    st.integers(1, 10_000), st.integers(0, 4000), st.sampled_from(["CT", "US", "MR"]), st.sampled_from(["", "", "x"]),
    st.sampled_from([0, 0, 1]), st.integers(0, 4000),
)  # fmt: skip
RULES = st.builds(
    lambda name, days, by, modalities, when: rule(name, days, by=by, modalities=modalities, when=when),
    st.sampled_from("abcd"), st.integers(1, 3000), st.sampled_from(["received", "study date"]),
    st.sampled_from([(), ("US",), ("CT", "MR")]), st.sampled_from(["always", "full"]),
)  # fmt: skip


@given(
    st.lists(STUDIES, max_size=12, unique_by=lambda each: each.key), st.lists(RULES, max_size=4), st.integers(0, 72),
    st.booleans(),
)  # fmt: skip
def test_whatever_the_rules_only_what_one_is_for_goes_and_nothing_that_must_stay(
    studies: list[Candidate], rules: list[Rule], keep_hours: int, full: bool
) -> None:
    choices = list(choose(studies, rules, NOW, keep_hours, full))
    assert len({each.study.key for each in choices}) == len(choices)
    at = -1
    for before, choice in zip([None, *choices], choices, strict=False):
        assert bool(choice.kept) == bool(why_kept(choice.study, NOW, keep_hours))
        assert full or choice.rule.when == "always"
        fits = [
            number for number, each in enumerate(rules)
            if (full or each.settings.when == "always") and each.why(choice.study, NOW)
        ]  # fmt: skip
        assert rules[fits[0]].settings == choice.rule
        assert fits[0] >= at
        if before is not None and fits[0] == at:
            one = rules[at]
            assert one.age(before.study, NOW) >= one.age(choice.study, NOW)
        at = fits[0]
    left = [each for each in studies if each.key not in {choice.study.key for choice in choices}]
    active = [each for each in rules if full or each.settings.when == "always"]
    assert not [each for each in left if any(one.why(each, NOW) for one in active)]
