"""Asks a model for data of a form, shows it what is wrong with its answer, and gives up after three.

What a model answers is text by a stranger: it is validated, rendered by our own code, checked, tried in the
sandbox, and shown to a person. Nothing of it is executed before that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from qflow.authoring.masking import masked_text
from qflow.errors import QflowError

M = TypeVar("M", bound=BaseModel)

MAX_ROUNDS: Final = 3
_SHOWN: Final = 12
_MAX_ANSWER: Final = 200_000


class ProviderError(QflowError):
    """A model is out of reach, refuses, or answers nothing that can be used; the message says what to do."""


class Message(NamedTuple):
    """One turn: `role` is user or assistant."""

    role: str
    text: str


class Provider(Protocol):
    """What can be asked. Yours may be any object with these two."""

    @property
    def name(self) -> str:
        """What messages and versions call it."""
        ...

    def complete(self, system: str, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """Return JSON text of the form `schema`, or as near to it as the model comes.

        Raises ProviderError where there is no answer.
        """
        ...


class Asked(NamedTuple, Generic[M]):
    """An answer of the form that was asked for, and in how many rounds it came."""

    value: M
    rounds: int


def ask(
    provider: Provider,
    system: str,
    words: str,
    model: type[M],
    objections: Callable[[M], Sequence[str]] = lambda _value: (),
) -> Asked[M]:
    """Ask for a `model`; tell what is wrong with an answer, up to three rounds in all.

    `objections` says what is wrong with a value of the right form. Raises ProviderError where the last
    answer is wrong too, saying how.
    """
    schema = model.model_json_schema()
    messages = [Message("user", words)]
    problems: Sequence[str] = ()
    for number in range(1, MAX_ROUNDS + 1):
        answer = provider.complete(system, messages, schema)
        value, problems = _read(answer, model)
        if value is not None:
            problems = list(objections(value))
            if not problems:
                return Asked(value, number)
        shown = "\n".join(f"- {problem}" for problem in problems[:_SHOWN])
        messages += [
            Message("assistant", answer[:_MAX_ANSWER]),
            Message(
                "user", f"That cannot be used:\n{shown}\nAnswer again with the whole, corrected."
            ),
        ]
    raise ProviderError(
        f"nothing was written: {provider.name} gave no usable answer in {MAX_ROUNDS} rounds; last: "
        f"{problems[0] if problems else 'nothing'}"
    )


def quoted(title: str, text: str) -> str:
    """Return text from outside (an event, a traceback, code) as data: masked, and fenced off."""
    fenced = masked_text(text).replace("</data>", "&lt;/data>")
    return f'<data of="{title}">\n{fenced}\n</data>'


def _read(answer: str, model: type[M]) -> tuple[M | None, list[str]]:
    if len(answer) > _MAX_ANSWER:
        return None, [f"it has more than {_MAX_ANSWER} characters"]
    text = answer.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return None, [f"it is not JSON: {error}"]
    try:
        return model.model_validate(found), []
    except ValidationError as error:
        return None, [
            f"{'.'.join(map(str, each['loc'])) or 'the whole'}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        ]
