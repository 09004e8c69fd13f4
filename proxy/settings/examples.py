"""Whether the rules of a vendor's file take their own examples.

Owns the trial: each example is explained by the profile alone, as `earwitness explain` would. A rule that does not take the claim
it was written for is a mistake of the file like any other, and told with its line.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.core.explain import Given, explain
from proxy.core.profile import Profile
from proxy.core.rules import Common, Example
from proxy.settings.document import Document
from proxy.settings.problems import Problem


def problems_of(document: Document, profile: Profile, common: Common) -> Iterator[Problem]:
    """Of a profile that is without problems otherwise."""
    for number, rule in enumerate(profile.rules):
        for place, example in enumerate(rule.examples):
            keys = ("rules", number, "examples", place)
            try:
                taken = _taken_by(example, profile, common)
            except ValueError:
                yield document.problem((*keys, "frames_hex"), "should be the hex of bytes")
            else:
                if taken != rule.id:
                    yield document.problem(keys, f"is taken by {taken or 'no rule alone'}, not by {rule.id}")


def _taken_by(example: Example, profile: Profile, common: Common) -> str | None:
    facts = example.model_dump(exclude={"vendor", "source"})
    return explain(Given(vendor=profile.vendor, **facts), {profile.vendor: profile}, common)[0].rule
