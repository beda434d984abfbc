import csv
import io
import re

from tests.gateway.cli.installation import Installation


def test_a_month_adds_up_as_json_as_a_table_and_for_people(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Statement", "--plan", "Start")
    installation.succeed("credits", "grant", "Statement", "0.5", "--reason", "Kulanz")
    document = installation.succeed("statement", "Statement", "--json").json
    assert document["opening_millicredits"] == 0
    assert document["closing_millicredits"] == 150_000_500
    assert [entry["amount_millicredits"] for entry in document["entries"]] == [150_000_000, 500]
    rows = list(csv.DictReader(io.StringIO(installation.succeed("statement", "Statement", "--csv").out)))
    assert [row["kind"] for row in rows] == ["opening", "grant", "grant", "closing"]
    assert rows[-1]["balance_after_millicredits"] == "150000500"
    people = installation.succeed("statement", "Statement").out
    assert "Kulanz" in people
    assert re.search(r"Closing +150\.000,50 Credits", people)


def test_another_month_is_empty_and_no_month_is_refused(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Quiet")
    document = installation.succeed("statement", "Quiet", "--month", "2020-02", "--json").json
    assert (document["month"], document["entries"]) == ("2020-02", [])
    assert "like 2026-11" in installation.refuse("statement", "Quiet", "--month", "2020-13")
