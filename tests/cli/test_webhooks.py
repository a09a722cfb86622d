"""`qflow webhooks`."""

from __future__ import annotations

from cli.conftest import Command


def test_adding_listing_and_removing(qflow: Command) -> None:
    assert "no webhooks" in qflow("webhooks", "list").out
    options = ("--preset", "github", "--event", "github/{type}", "--secret-env", "GH_SECRET")
    assert (
        "added gh: the dashboard takes POST /w/gh" in qflow("webhooks", "add", "gh", *options).out
    )
    assert "changed gh" in qflow("webhooks", "add", "gh", *options).out
    (told,) = qflow("webhooks", "list", "--json").json
    assert (told["id"], told["secret_env"], told["taken"]) == ("gh", "GH_SECRET", 0)
    assert "github/{type}" in qflow("webhooks", "list").out
    wrong = qflow("webhooks", "add", "x", *options[:4], "--secret-env", "not a name")
    assert (wrong.code, "never the secret" in wrong.err) == (2, True)
    assert qflow("webhooks", "remove", "gh").out == "removed gh\n"
    gone = qflow("webhooks", "remove", "gh")
    assert (gone.code, "no webhook 'gh'" in gone.err) == (2, True)
