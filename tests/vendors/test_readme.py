"""What `config/README.md` teaches is true: its file is taken, its rules do what they say, and it names every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from proxy.core.explain import Given, explain
from proxy.core.messages import Declares, Held, Message, Messages, Position, Where
from proxy.core.phrases import Phrase, fold
from proxy.core.profile import Audio, Declared, Endpoint, Limits, Profile, Route
from proxy.core.rules import Example, Rule, When

from .catalogue import COMMON

README = (Path(__file__).parents[2] / "config" / "README.md").read_text()
EXAMPLE = Profile.model_validate(yaml.safe_load(re.findall(r"^```yaml\n(.*?)```", README, re.DOTALL | re.MULTILINE)[0]))


@pytest.mark.parametrize(("rule", "example"), [(rule, example) for rule in EXAMPLE.rules for example in rule.examples])
def test_the_examples_of_the_file_are_won_by_their_rules(rule: Rule, example: Example) -> None:
    facts = example.model_dump(exclude={"vendor", "source"})
    assert explain(Given(vendor="babble", **facts), {"babble": EXAMPLE}, COMMON)[0].rule == rule.id


@pytest.mark.parametrize("model", [
    Profile, Route, Endpoint, Declared, Audio, Limits, Messages, Message, Held, Declares, Where, Position, Rule, When,
])
def test_every_key_is_named(model: type[Profile]) -> None:
    missing = [key for key in model.model_fields if not re.search(rf"\b{key}\b", README)]
    assert missing == []


@pytest.mark.parametrize(("phrase", "text"), [("net 0001", "NET-0001"), ("chunk too *", "Error: CHUNK TOO SHORT (5 ms)")])
def test_the_phrases_of_the_text_match_as_it_says(phrase: str, text: str) -> None:
    assert f"`{phrase}`" in README
    assert text in README
    assert Phrase(phrase).found_in(fold(text))
