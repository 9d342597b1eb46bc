"""Pushing an exported folder to a small server that stands for the Hub, on the loopback interface."""

import socket

import pytest
from hub_server import HubServer

from harken.export.hub import Hub, HubError

TOKEN = "hf_secretsecretsecret"
NAME = "me/omni-r1"


@pytest.fixture
def hub(monkeypatch):
    with HubServer(TOKEN).running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


@pytest.fixture
def folder(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("# ours\n")
    (out / "config.json").write_text("{}")
    (out / "model.safetensors").write_bytes(b"weights" * 100)
    return out


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("private", [True, False])
def test_a_folder_becomes_a_new_repository_in_one_commit(hub, folder, private):
    address, kept = Hub(NAME, private=private).push(folder, replace_card=False)
    assert (address, kept) == (f"{hub.url}/{NAME}", False)
    assert hub.repositories == {NAME: {"private": private, "files": contents(folder)}}
    assert hub.commits == ["Upload from harken"]


def test_a_card_that_is_there_is_kept_unless_the_user_replaces_it(hub, folder):
    own_files = {"README.md": b"# my own words\n"}
    hub.repositories[NAME] = {"private": False, "files": dict(own_files)}
    assert Hub(NAME, private=False).push(folder, replace_card=False)[1]
    assert hub.repositories[NAME]["files"] == contents(folder) | own_files
    assert not Hub(NAME, private=False).push(folder, replace_card=True)[1]
    assert hub.repositories[NAME]["files"] == contents(folder)


def test_what_should_be_private_is_never_pushed_where_all_can_see_it(hub):
    hub.repositories[NAME] = {"private": False, "files": {}}
    with pytest.raises(HubError, match="exists already and is public: choose another name, or leave out --private"):
        Hub(NAME, private=True)
    assert not hub.commits


def test_the_token_comes_from_the_environment_and_its_absence_is_an_error_before_any_request(hub, monkeypatch):
    for value in ("", "  "):
        monkeypatch.setenv("HF_TOKEN", value)
        with pytest.raises(HubError, match="HF_TOKEN is not set: create a token with write access"):
            Hub(NAME, private=False)
    assert hub.requests == []


@pytest.mark.parametrize("name", ["omni", "a/b/c", "../x", "me/", "/x", "me/x y", "me/x\n", "http://x/y", "-a/b"])
def test_a_malformed_name_is_refused(hub, name):
    with pytest.raises(HubError, match="expected OWNER/NAME"):
        Hub(name, private=False)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/whoami", 401, "the Hub does not know the token in HF_TOKEN: create a new one with write access"),
        ("/api/repos/create", 403, "the token in HF_TOKEN may not write to me/omni-r1: give it write access"),
        (f"/api/models/{NAME}/commit", 403, "the token in HF_TOKEN may not write"),
        (f"/api/models/{NAME}/commit", 400, r"the Hub replied: no, \*\*\*"),
    ],
)
def test_a_refusal_of_the_hub_is_reported_with_the_fix_and_without_the_token(hub, folder, path, status, says):
    hub.refuse[path] = status
    with pytest.raises(HubError, match=says) as raised:
        Hub(NAME, private=False).push(folder, replace_card=False)
    assert TOKEN not in str(raised.value)
    assert raised.value.__cause__ is None
    if "whoami" not in path:
        assert f"The export is in {folder}; try again with: hf upload {NAME} {folder}" in str(raised.value)


def test_a_hub_that_is_not_there_is_an_error_that_names_it(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(HubError, match=f"{address} cannot be reached"):
        Hub(NAME, private=False)
