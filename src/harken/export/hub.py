"""An exported folder -> a repository on the Hugging Face Hub.

Takes a folder and OWNER/NAME, gives the repository's address. The token comes from HF_TOKEN alone and stands in no
message. A card that the repository has already is left as it is unless asked. Not taken: the token file of other
programs, and making a public repository private or the other way round.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,  # pyright: ignore[reportPrivateImportUsage]  (httpx's or httpx2's, by the version of the library)
    RepositoryNotFoundError,
)

from harken.errors import HarkenError
from harken.export.model_card import CARD


class HubError(HarkenError):
    """The Hub, or what it was asked for, cannot be used."""


class Hub:
    """One repository, checked before anything is written: the token is known, and the name may be used.

    Raises HubError that names the fix.
    """

    def __init__(self, repository: str, *, private: bool) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repository, re.ASCII):
            raise HubError(f"--push-to {repository!r}: expected OWNER/NAME, such as me/omni-r1-avqa")
        self._token = os.environ.get("HF_TOKEN", "").strip()
        if not self._token:
            raise HubError("HF_TOKEN is not set: make a token with write access on the Hub and put it there")
        self._repository, self._private = repository, private
        self._api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=self._token)
        with self._explained():
            self._api.whoami()
            self._exists = self._visible_as_asked()

    def push(self, folder: Path, *, replace_card: bool) -> tuple[str, bool]:
        """Make the repository where there is none and upload the folder in one commit.

        Returns its address, and whether a card that was there was left as it is.
        """
        with self._explained(f". The export is in {folder}; try again with: hf upload {self._repository} {folder}"):
            keep = self._exists and not replace_card and self._api.file_exists(self._repository, CARD)
            url = self._api.create_repo(self._repository, private=self._private or None, exist_ok=True)
            self._api.upload_folder(
                repo_id=self._repository,
                folder_path=folder,
                commit_message="Upload from harken",
                ignore_patterns=[CARD] if keep else None,
            )
            return str(url), keep

    def _visible_as_asked(self) -> bool:
        """Whether the repository is there. Raises HubError where it is public and should be private."""
        try:
            there = self._api.repo_info(self._repository)
        except RepositoryNotFoundError:
            return False
        if self._private and not there.private:
            raise HubError(
                f"{self._repository} is there already and public: choose another name, or leave out --private"
            )
        return True

    @contextlib.contextmanager
    def _explained(self, then: str = "") -> Iterator[None]:
        try:
            yield
        except HfHubHTTPError as error:
            status = None if error.response is None else error.response.status_code
            why = {
                401: "the Hub does not know the token in HF_TOKEN: make a new one with write access",
                403: f"the token in HF_TOKEN may not write to {self._repository}: give it write access, or choose "
                "another owner",
            }.get(status or 0, f"the Hub said: {self._without_token(str(error.server_message or error))}")
            raise HubError(f"{self._repository}: {why}{then}") from None
        except (HTTPError, OSError) as error:
            where = self._api.endpoint
            raise HubError(f"{where} cannot be reached ({self._without_token(str(error))}){then}") from None

    def _without_token(self, text: str) -> str:
        return " ".join(text.replace(self._token, "***").split())
