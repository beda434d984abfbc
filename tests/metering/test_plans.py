from pathlib import Path

import pytest

from metering.errors import PlansError
from metering.plans import Plan, Plans, as_terms, load_plans, plan_of_terms


def written(folder: Path, text: str) -> Path:
    file = folder / "plans.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems_of(folder: Path, text: str) -> str:
    with pytest.raises(PlansError) as caught:
        load_plans(written(folder, text))
    return "\n".join(caught.value.problems)


def test_the_shipped_plans_are_examples_that_load() -> None:
    plans = load_plans()
    assert len(plans.plans) >= 2
    packages = [plan.package_millicredits for plan in plans.plans]
    assert packages == sorted(packages)
    assert packages[0] == plans.plans[0].credits * 1000


def test_the_operators_file_replaces_the_examples(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[[plan]]\nname = " Salon "\nprice_minor = 2900\ncurrency = "EUR"\ncredits = 90_000\nrollover = false\n',
    )
    assert load_plans(file).plans == (Plan("Salon", 2900, "EUR", 90_000, rollover=False),)


def test_credits_roll_over_unless_a_plan_says_otherwise(tmp_path: Path) -> None:
    file = written(tmp_path, '[[plan]]\nname = "S"\nprice_minor = 1\ncurrency = "EUR"\ncredits = 1\n')
    assert load_plans(file).plans[0].rollover


def test_what_rolls_over_may_have_a_limit(tmp_path: Path) -> None:
    plan = '[[plan]]\nname = "S"\nprice_minor = 1\ncurrency = "EUR"\ncredits = 1\nrollover_max_credits = {}\n'
    assert load_plans(written(tmp_path, plan.format(300))).plans[0].rollover_max_millicredits == 300_000
    assert "whole number from 1" in problems_of(tmp_path, plan.format(0))
    assert "whole number from 1" in problems_of(tmp_path, plan.format('"1x"'))
    assert "means nothing" in problems_of(tmp_path, plan.format("300\nrollover = false"))


def test_the_larger_package_is_the_higher_plan_whatever_the_files_order() -> None:
    small, large = Plan("S", 4900, "EUR", 100), Plan("L", 100, "EUR", 200)
    plans = Plans((large, small))
    assert large.is_above(small)
    assert not small.is_above(large)
    assert not small.is_above(small)
    assert [plans.is_top(plan) for plan in (small, large)] == [False, True]


@pytest.mark.parametrize(
    "plan", [Plan("S", 1, "EUR", 2), Plan("L", 0, "USD", 9, rollover=False), Plan("C", 1, "EUR", 2, True, 5)]
)
def test_terms_are_kept_as_plain_values(plan: Plan) -> None:
    assert plan_of_terms(as_terms(plan)) == plan


def test_a_plan_is_found_whatever_its_case_and_an_unknown_one_names_those_there_are() -> None:
    plans = load_plans()
    assert plans.find(" business ").name == "Business"
    assert plans.get("Gold") is None
    with pytest.raises(PlansError, match='"Gold" is not a plan; there are: Start, Business, Pro'):
        plans.find("Gold")


def test_every_problem_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    found = problems_of(
        tmp_path,
        'plans = 1\n[[plan]]\nname = ""\nprice_minor = 49.0\ncurrency = "eur"\ncredits = 0\nrolover = true\n'
        '[[plan]]\nname = "B"\nprice_minor = -1\ncurrency = "EUR"\ncredits = true\nrollover = "yes"\n',
    )
    for expected in (
        '"plans" is not known',
        "plan 1: name",
        "plan 1: price_minor",
        "plan 1: currency",
        "plan 1: credits",
        'plan 1: "rolover" is not known',
        "plan 2: price_minor",
        "plan 2: credits",
        "plan 2: rollover",
    ):
        assert expected in found


def test_two_plans_of_one_name_are_an_error(tmp_path: Path) -> None:
    plan = '[[plan]]\nname = "{}"\nprice_minor = 1\ncurrency = "EUR"\ncredits = 1\n'
    assert '"a" is there twice' in problems_of(tmp_path, plan.format("A") + plan.format("a"))


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlansError, match=r"absent\.toml: cannot be read"):
        load_plans(tmp_path / "absent.toml")
    assert "plans.toml:" in problems_of(tmp_path, "[[plan]\n")
    assert "[[plan]] tables" in problems_of(tmp_path, 'plan = "Start"\n')
    (tmp_path / "plans.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PlansError, match=r"plans\.toml:"):
        load_plans(tmp_path / "plans.toml")
