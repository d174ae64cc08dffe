"""Custom endpoints (`live.md` 18, `additions.md` 16): choosing the file, reading, applying, guarding."""

from __future__ import annotations

import copy
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from exchanges.client_urls import apply_override, is_loopback, require_loopback, rest_is_loopback, url_leaves
from exchanges.endpoints import Endpoints, Override, UrlChanges, load_endpoints, parse_endpoints, rewrite

LOCAL = "http://127.0.0.1:8080"


def client(**urls: Any) -> Any:
    """A client as CCXT makes them: nested URLs, a host name to be filled in, texts for readers."""
    tree = {
        "api": {"public": "https://api.{hostname}/v5", "deep": {"er": "https://deep.venue.com"}},
        "www": "https://w",
    }
    return SimpleNamespace(id="bybit", hostname="venue.com", urls={**tree, **urls}, headers={"A": "1"})


STREAMS = {"public": {"linear": "wss://stream.{hostname}/v5"}, "private": {"a": {"b": "wss://stream.venue.com/p"}}}


def rest(**domains: str) -> Override:
    return Override(rest=UrlChanges({f"https://{host}.venue.com": new for host, new in domains.items()}))


def endpoints_file(folder: Path, content: Any, name: str = "configs/custom_endpoints.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def one_host(new: str) -> dict[str, Any]:
    return {"exchanges": {"bybit": {"rest": {"rewrite_domains": {"https://api.bybit.com": new}}}}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_choice_of_file(folder: Path) -> None:
    """The command line wins over the config, the config over the file that is found by itself."""
    endpoints_file(folder, one_host("http://found"))
    endpoints_file(folder, one_host("http://config"), "b.json")
    endpoints_file(folder, one_host("http://cli"), "c.json")
    choices = {("c.json", "b.json"): "http://cli", (None, "b.json"): "http://config", (None, None): "http://found"}
    for (cli, configured), host in choices.items():
        changes = load_endpoints(cli, configured).of_exchange("bybit").rest
        assert rewrite("https://api.bybit.com/x", changes.domains) == f"{host}/x"


@pytest.mark.parametrize("word", ["none", "off", "disable", "", "  ", "NONE", " Off "])
def test_switching_off(folder: Path, word: str) -> None:
    """These words mean no overrides, in either place; on the command line they also overrule the config."""
    endpoints_file(folder, one_host(LOCAL))
    assert load_endpoints(word, "b.json") == load_endpoints(None, word) == Endpoints()


def test_named_files_must_be_sound(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A named file that is missing or malformed is an error; one only found is logged and ignored."""
    assert load_endpoints() == Endpoints()
    with pytest.raises(ConfigError, match=r"nowhere\.json does not exist"):
        load_endpoints("nowhere.json")
    bad = endpoints_file(folder, '{"exchanges": ')
    with pytest.raises(ConfigError, match="custom_endpoints"):
        load_endpoints(None, str(bad))
    assert load_endpoints() == Endpoints()
    assert "endpoints_ignored" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "list, an object is needed"),
        ({"exchange": {}}, "unknown keys exchange; known are defaults, exchanges, archive, coingecko"),
        ({"exchanges": {"bybit": {"rest": {"rewrite_domain": {}}}}}, r"bybit\.rest has unknown keys rewrite_domain"),
        ({"defaults": {"disable_ws": "yes"}}, r"defaults\.disable_ws is 'yes'"),
        ({"exchanges": {"bybit": {"rest": {"extra_headers": {"X": 1}}}}}, r"extra_headers\.X is 1"),
        ({"archive": {"https://a": ""}}, r"archive\.https://a is ''"),
        ({"exchanges": {"binance": {}, "BinanceUSDM": {}}}, "second entry for binanceusdm"),
    ],
)
def test_malformed_content(content: Any, message: str) -> None:
    """What the file does not know, or of the wrong type, is refused by name: requests would go astray."""
    with pytest.raises(ConfigError, match=message):
        parse_endpoints(content, "f")


def test_defaults_are_merged() -> None:
    """The entry of an exchange wins key by key; ids in any case, short names too; others get the defaults."""
    content = {
        "defaults": {
            "disable_ws": True,
            "rest": {"extra_headers": {"A": "d", "B": "d"}, "rewrite_domains": {"x": "d"}},
        },
        "exchanges": {
            "BYBIT": {"disable_ws": False, "rest": {"extra_headers": {"A": "e"}, "rewrite_domains": {"y": "e"}}},
            "binance": {"_note": "comments are allowed", "ws": {"url_overrides": {"ws.future": "ws://h"}}},
        },
    }
    endpoints = parse_endpoints(content, "f")
    bybit, binance = endpoints.of_exchange("Bybit"), endpoints.of_exchange("binanceusdm")
    assert (bybit.disable_ws, bybit.headers) == (False, {"A": "e", "B": "d"})
    assert list(bybit.rest.domains.items()) == [("y", "e"), ("x", "d")]
    assert (binance.disable_ws, binance.ws.overrides) == (True, {"ws.future": "ws://h"})
    assert endpoints.of_exchange("okx").headers == {"A": "d", "B": "d"}
    assert not parse_endpoints({"exchanges": {"okx": {"rest": {}}}}, "f").of_exchange("okx")


@pytest.mark.parametrize(
    ("old", "new", "url", "result"),
    [
        ("https://a.com", LOCAL + "/", "https://a.com/x/y", LOCAL + "/x/y"),
        ("https://a.com/", LOCAL + "/", "https://a.com/x", LOCAL + "/x"),
        ("https://a.com/", LOCAL, "https://a.com", LOCAL),
        ("https://a.com/", LOCAL, "https://a.company/x", None),
        ("a.com", "b.com", "https://a.com/a.com", "https://b.com/a.com"),
        ("a.com", LOCAL, "https://a.com/x", LOCAL + "/x"),
        ("a.com", "b.com", "https://www.a.com/x", None),
        ("http://a.com", LOCAL, "https://a.com", None),
        ("/", LOCAL, "https://a.com", None),
    ],
)
def test_rewriting(old: str, new: str, url: str, result: str | None) -> None:
    """`old` is the beginning of the URL, or of what follows `://`; a closing slash of either side changes nothing."""
    assert rewrite(url, {old: new}) == result


def test_first_match_only() -> None:
    """The first entry that fits decides, and its result is not rewritten again."""
    assert (
        rewrite("https://a/x", {"https://a": "https://b", "https://b": "https://c", "https://a/x": "d"})
        == "https://b/x"
    )


def test_archives_and_coingecko() -> None:
    """Both have maps of their own; a URL that none fits stays."""
    endpoints = parse_endpoints(
        {"archive": {"https://a.com": f"{LOCAL}/a"}, "coingecko": {"https://g.com": LOCAL}}, "f"
    )
    assert endpoints.archive_url("https://a.com/f.zip") == f"{LOCAL}/a/f.zip"
    assert endpoints.archive_url("https://g.com/f") == "https://g.com/f"
    assert endpoints.coingecko_url("https://g.com/api") == f"{LOCAL}/api"


def test_applying(caplog: pytest.LogCaptureFixture) -> None:
    """Overrides by key, then every leaf by domain with the host name filled in; headers merged; changes logged."""
    caplog.set_level(logging.INFO)
    target = client(test={"public": "https://api.{hostname}/t"})
    override = Override(
        rest=UrlChanges(
            {"https://api.venue.com": LOCAL}, {"deep.er": "https://api.venue.com/d", "new.key": "https://n"}
        ),
        headers={"B": "secret"},
    )
    apply_override(target, override, websockets=False)
    assert target.urls == {
        "api": {"public": f"{LOCAL}/v5", "deep": {"er": f"{LOCAL}/d"}, "new": {"key": "https://n"}},
        "test": {"public": f"{LOCAL}/t"},
        "www": "https://w",
    }
    assert target.headers == {"A": "1", "B": "secret"}
    changed = ("api.public", "api.deep.er", "api.new.key", "test.public")
    assert all(f"key={key} " in caplog.text for key in changed)
    assert "www" not in caplog.text
    assert "secret" not in caplog.text


def test_unfitting_urls_keep_their_placeholder() -> None:
    """A URL that nothing fits is left exactly as it was."""
    target = client()
    apply_override(target, rest(deep=LOCAL), websockets=False)
    assert target.urls["api"]["public"] == "https://api.{hostname}/v5"


@pytest.mark.parametrize("key", ["deep", "public.below"])
def test_override_of_no_leaf(key: str) -> None:
    """A key that is a group, or lies below a URL, is an error; nothing is changed by it."""
    target = client()
    before = copy.deepcopy(target.__dict__)
    override = Override(rest=UrlChanges({}, {"public": LOCAL, key: LOCAL}), headers={"B": "2"})
    with pytest.raises(ConfigError, match=f"url_overrides.{key} names no single URL of bybit"):
        apply_override(target, override, websockets=False)
    assert target.__dict__ == before


def test_streams_must_follow() -> None:
    """REST redirected and a stream left behind is an error that changes nothing, unless streams are off."""
    api = client().urls["api"]
    target = client(api={**api, "ws": STREAMS})
    before = copy.deepcopy(target.__dict__)
    with pytest.raises(ConfigError, match=r"would still go to wss://stream\.venue\.com/p, wss://stream"):
        apply_override(target, rest(api=LOCAL), websockets=True)
    partly = Override(rest(api=LOCAL).rest, UrlChanges({}, {"ws.public.linear": "ws://127.0.0.1:1"}))
    with pytest.raises(ConfigError, match=r"still go to wss://stream\.venue\.com/p;"):
        apply_override(target, partly, websockets=True)
    assert target.__dict__ == before
    apply_override(copy.deepcopy(target), Override(rest(api=LOCAL).rest, disable_ws=True), websockets=True)
    apply_override(copy.deepcopy(target), Override(headers={"X": "y"}), websockets=True)
    both = Override(rest(api=LOCAL).rest, UrlChanges({"wss://stream.venue.com": "ws://127.0.0.1:1"}))
    apply_override(target, both, websockets=True)
    assert target.urls["api"]["ws"] == {
        "public": {"linear": "ws://127.0.0.1:1/v5"}, "private": {"a": {"b": "ws://127.0.0.1:1/p"}},
    }  # fmt: skip


def test_guard_names_every_leaf() -> None:
    """Every URL a request may go to counts, those of test nets and of archives too; texts for readers do not."""
    target = client(test={"public": "https://test.venue.com"})
    apply_override(target, rest(api=LOCAL), websockets=False)
    with pytest.raises(ConfigError) as caught:
        require_loopback(target, endpoints=Endpoints(archive={"https://data.binance.vision": "http://10.0.0.1"}))
    for part in ("bybit.api.deep.er = https://deep", "bybit.test.public = ", "10.0.0.1", "img.bitgetimg", "coingecko"):
        assert part in str(caught.value)
    assert "api.public" not in str(caught.value)
    assert "https://w" not in str(caught.value)
    apply_override(target, rest(deep=LOCAL, test=LOCAL), websockets=False)
    require_loopback(target)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:80/x", True),
        ("ws://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://localhost:1", True),
        ("http://127.0.0.1.evil.com", False),
        ("http://127.0.0.1@evil.com", False),
        ("http://localhost.evil.com", False),
        ("http://0.0.0.0", False),
        ("http://10.0.0.1", False),
        ("127.0.0.1", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_loopback(url: str, local: bool) -> None:
    """Only the loopback networks and `localhost`; names that merely look like them are outside."""
    assert is_loopback(url) is local


NAMES = st.sampled_from("abc")
LEAVES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["https://", "wss://", "http://"]),
    st.sampled_from(["api.venue.com", "api.{hostname}", "other.com", "127.0.0.1:9"]),
    st.sampled_from(["", "/v1", "/v2/x"]),
)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)
GROUPS = st.dictionaries(NAMES, TREES, min_size=1, max_size=3)


@given(api=GROUPS, test=GROUPS, websockets=st.booleans(), with_ws=st.booleans())
def test_all_or_nothing(api: Any, test: Any, websockets: bool, with_ws: bool) -> None:
    """For any tree of URLs: each leaf is redirected exactly if its domain says so, or nothing at all is changed."""
    target = client(api=api, test=test)
    before = copy.deepcopy(target.__dict__)
    leaves = url_leaves(target)
    domains = {"https://api.venue.com": LOCAL}
    streams = {"wss://api.venue.com": "ws://127.0.0.1:1"} if with_ws else {}
    override = Override(UrlChanges(domains), UrlChanges(streams))
    try:
        apply_override(target, override, websockets=websockets)
    except ConfigError:
        assert websockets
        assert target.__dict__ == before
        assert any(url.startswith("wss://") for url in leaves.values())
        return
    expected = {key: rewrite(url, {**domains, **streams}) or url for key, url in leaves.items()}
    assert url_leaves(target) == expected
    again = copy.deepcopy(target.urls)
    apply_override(target, override, websockets=False)
    assert target.urls == again


@given(api=GROUPS)
def test_guard_agrees_with_the_leaves(api: Any) -> None:
    """The guard passes exactly if every leaf is on this machine."""
    target = client(api=api)
    outside = [key for key, url in url_leaves(target).items() if not is_loopback(url)]
    if outside:
        with pytest.raises(ConfigError) as caught:
            require_loopback(target)
        assert all(f"bybit.{key} = " in str(caught.value) for key in outside)
    else:
        require_loopback(target)
        assert rest_is_loopback(target)
