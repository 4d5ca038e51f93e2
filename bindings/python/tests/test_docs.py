"""Every example in docstrings and in README.md is run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import forebay
import pytest

MODULES = ["forebay", *(f"forebay.{module.name}" for module in pkgutil.iter_modules(forebay.__path__))]
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(cache: forebay.Cache, state: Path, name: str) -> None:
    module = importlib.import_module(name)
    names = {"forebay": forebay, "cache": cache, "state": state}
    failed, _ = doctest.testmod(module, extraglobs=names, optionflags=FLAGS)
    assert failed == 0


DESCRIBED = [
    forebay,
    *(forebay.Cache, forebay.Source, forebay.Job, forebay.Ticket, forebay.Events),
    *(forebay.Value, forebay.Reader, forebay.Readers),
    *(forebay.Quota, forebay.QuotaJob, forebay.Answer),
    *(forebay.Credentials, forebay.Credential, forebay.Exchange),
    *(forebay.Live, forebay.LiveTicket, forebay.LiveJob, forebay.Derived, forebay.Input, forebay.LiveKey),
]


@pytest.mark.parametrize("owner", DESCRIBED)
def test_everything_public_is_described(owner: Any) -> None:
    for name in [name for name in vars(owner) if not name.startswith("_")]:
        item = vars(owner)[name]
        if inspect.isroutine(item) or isinstance(item, type | property) or inspect.isgetsetdescriptor(item):
            assert item.__doc__, f"{owner.__name__}.{name}"


CALLED = [forebay.Cache, forebay.Source, forebay.Quota, forebay.Credentials, forebay.Live]


@pytest.mark.parametrize("owner", CALLED, ids=lambda owner: str(owner.__name__))
def test_every_public_call_has_an_example(owner: Any) -> None:
    waits_for_ever_or_closes = {"close", "root", "closed", "key", "workspace"}
    for name in [name for name in vars(owner) if not name.startswith("_")]:
        if name.endswith("_async") or name in waits_for_ever_or_closes:
            continue  # twins are shown by README.md and get_async
        assert ">>>" in (vars(owner)[name].__doc__ or ""), name


def test_readme(root: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOREBAY_ROOT", str(root))
    monkeypatch.setenv("FOREBAY_STATE", str(state))

    class Response:
        status_code = 200
        headers = {"ETag": '"1"'}  # noqa: RUF012
        content = b'["small", "large"]'

    class Httpx:
        @staticmethod
        def get(url: str, headers: dict[str, str], timeout: float) -> Response:
            return Response()

        @staticmethod
        def post(url: str, data: dict[str, bytes], timeout: float) -> Response:
            return Response()

    names: dict[str, object] = {"httpx": Httpx, "URL": "https://example.org/models"}
    names |= {"TOKEN_URL": "https://example.org/token", "TOKEN": "secret"}
    result = doctest.testfile(str(README), module_relative=False, globs=names, optionflags=FLAGS)
    assert result.attempted > 20
    assert result.failed == 0
