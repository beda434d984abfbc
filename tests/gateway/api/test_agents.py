from uuid import uuid4

from tests.gateway.api.conftest import Caller, Salon, an_agent


async def test_an_agent_is_made_as_a_draft_published_changed_and_rolled_back(acme: Caller) -> None:
    made = await acme.post("/agents", an_agent("Werkstatt", hours={"tuesday": ["09:00-13:00", "14:00-18:00"]}))
    assert (made.status, made.content["published_version"], made.content["has_draft"]) == (201, None, True)
    assert made.content["configuration"] is None, "nobody is answered by a draft"
    path = f"/agents/{made.content['id']}"
    draft = (await acme.get(f"{path}/draft"))["configuration"]
    assert draft["hours"]["tuesday"] == ["09:00-13:00", "14:00-18:00"]
    assert (await acme.post(f"{path}/publish", {"note": "Eröffnung"})).content == {"version": 1}
    assert (await acme.get(path))["configuration"] == draft
    changed = await acme.ask("PUT", f"{path}/draft", an_agent("Werkstatt", facts="Ölwechsel 49 €"))
    assert (changed.status, changed.content["configuration"]["facts"]) == (200, "Ölwechsel 49 €")
    assert (await acme.get(path))["configuration"]["facts"] == "", "a draft answers nobody yet"
    assert (await acme.post(f"{path}/publish", {})).content == {"version": 2}
    assert (await acme.get(path))["configuration"]["facts"] == "Ölwechsel 49 €"
    assert (await acme.post(f"{path}/roll-back", {"version": 1})).content == {"version": 3}
    assert (await acme.get(path))["configuration"] == draft
    versions = await acme.walk(f"{path}/versions", limit=2)
    assert [(each["version"], each["note"]) for each in versions] == [(3, "= 1"), (2, ""), (1, "Eröffnung")]
    assert (await acme.get(f"{path}/versions/2"))["configuration"]["facts"] == "Ölwechsel 49 €"


async def test_what_was_read_can_be_saved_again(acme: Caller, salon: Salon) -> None:
    read = (await acme.get(f"/agents/{salon.agent_id}"))["configuration"]
    saved = await acme.ask("PUT", f"/agents/{salon.agent_id}/draft", read)
    assert saved.content["configuration"] == read
    assert (await acme.post(f"/agents/{salon.agent_id}/publish")).content == {"version": 1}, "nothing has changed"


async def test_pages_show_every_agent_once_by_name(acme: Caller) -> None:
    for name in ("Rezeption", "Anna", "Zoe", "Bert"):
        await acme.post("/agents", an_agent(name))
    assert [each["name"] for each in await acme.walk("/agents", limit=2)] == ["Anna", "Bert", "Rezeption", "Zoe"]
    page = await acme.get("/agents", limit=2)
    bert = page["items"][1]["id"]
    await acme.ask("PUT", f"/agents/{bert}/draft", an_agent("Carl"))
    await acme.post(f"/agents/{bert}/publish")
    left = await acme.get("/agents", limit=2, cursor=page["next_cursor"])
    assert [each["name"] for each in left["items"]] == ["Carl", "Rezeption"], "a renamed agent loses nobody's place"


async def test_every_problem_of_an_agent_is_named(acme: Caller, salon: Salon) -> None:
    wrong = an_agent("X", hours={"tuesday": ["13:00-09:00"]}, disclosure="Ich bin Anna", modle="x")
    for method, path in (("POST", "/agents"), ("PUT", f"/agents/{salon.agent_id}/draft")):
        answer = await acme.ask(method, path, wrong)
        assert (answer.status, answer.code) == (422, "invalid_agent")
        problems = "\n".join(error["problem"] for error in answer.content["errors"])
        assert "ends before it begins" in problems
        assert 'did you mean "model"?' in problems
    assert (await acme.get(f"/agents/{salon.agent_id}"))["has_draft"] is False


async def test_two_agents_cannot_have_one_name(acme: Caller) -> None:
    assert (await acme.post("/agents", an_agent("Rezeption"))).status == 201
    assert (await acme.post("/agents", an_agent("Rezeption"))).code == "name_taken"
    made = await acme.post("/agents", an_agent("Werkstatt"))
    path = f"/agents/{made.content['id']}"
    await acme.ask("PUT", f"{path}/draft", an_agent("Rezeption"))
    answer = await acme.post(f"{path}/publish")
    assert (answer.status, answer.code) == (409, "name_taken")


async def test_only_a_draft_can_be_published_and_only_a_version_rolled_back_to(acme: Caller, salon: Salon) -> None:
    path = f"/agents/{salon.agent_id}"
    answer = await acme.post(f"{path}/publish", {})
    assert (answer.status, answer.code) == (409, "no_draft")
    assert (await acme.post(f"{path}/roll-back", {"version": 7})).status == 404
    assert (await acme.ask("GET", f"{path}/draft")).status == 404
    for body, field in (({}, "version"), ({"version": 0}, "version"), ({"version": 2**40}, "version")):
        refused = await acme.post(f"{path}/roll-back", body)
        assert (refused.status, refused.fields) == (422, [field])


async def test_a_version_that_never_was_is_not_found(acme: Caller, salon: Salon) -> None:
    for version in ("2", "0", "-1", "one", "9" * 30, "²"):
        assert (await acme.ask("GET", f"/agents/{salon.agent_id}/versions/{version}")).status == 404


async def test_an_unknown_agent_is_not_found(acme: Caller) -> None:
    for agent_id in (str(uuid4()), "Rezeption"):
        for method, path, body in (
            ("GET", "", None),
            ("GET", "/draft", None),
            ("PUT", "/draft", an_agent()),
            ("POST", "/publish", {}),
            ("POST", "/roll-back", {"version": 1}),
            ("GET", "/versions", None),
            ("GET", "/versions/1", None),
        ):
            answer = await acme.ask(method, f"/agents/{agent_id}{path}", body)
            assert (answer.status, answer.code) == (404, "not_found"), path
