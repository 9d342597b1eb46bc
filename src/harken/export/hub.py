"""Pushes an exported folder to a repository on the Hugging Face Hub.

The token comes from the environment variable HF_TOKEN alone and appears in no message. A model card that the repository
has already is kept unless the user asks otherwise, and no repository is made public or private afterwards.
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
from harken.export.card_header import MODEL_CARD


class HubError(HarkenError):
    """The Hub cannot be used, or refuses the repository."""


class Hub:
    """One repository on the Hub.

    Before anything is written, the constructor checks that the Hub knows the token and that the repository may be used.
    It raises a HubError that says how to fix the problem.
    """

    def __init__(self, repository: str, *, private: bool) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repository, re.ASCII):
            raise HubError(f"--push-to {repository!r}: expected OWNER/NAME, such as me/omni-r1-avqa")
        self._token = os.environ.get("HF_TOKEN", "").strip()
        if not self._token:
            raise HubError("HF_TOKEN is not set: create a token with write access on the Hub and set HF_TOKEN to it")
        self._repository, self._private = repository, private
        self._api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=self._token)
        with self._explained_errors():
            self._api.whoami()
            self._exists = self._check_repository()

    def push(self, folder: Path, *, replace_card: bool) -> tuple[str, bool]:
        """Create the repository where it does not exist, and upload the folder in one commit.

        Returns the repository's address, and whether its own model card was kept.
        """
        advice = f". The export is in {folder}; try again with: hf upload {self._repository} {folder}"
        with self._explained_errors(advice):
            keep_card = self._exists and not replace_card and self._api.file_exists(self._repository, MODEL_CARD)
            url = self._api.create_repo(self._repository, private=self._private or None, exist_ok=True)
            self._api.upload_folder(
                repo_id=self._repository,
                folder_path=folder,
                commit_message="Upload from harken",
                ignore_patterns=[MODEL_CARD] if keep_card else None,
            )
            return str(url), keep_card

    def _check_repository(self) -> bool:
        """Whether the repository exists. Raises HubError where it is public and should be private."""
        try:
            info = self._api.repo_info(self._repository)
        except RepositoryNotFoundError:
            return False
        if self._private and not info.private:
            raise HubError(
                f"{self._repository} exists already and is public: choose another name, or leave out --private"
            )
        return True

    @contextlib.contextmanager
    def _explained_errors(self, advice: str = "") -> Iterator[None]:
        """Turn errors of the Hub and the network into HubErrors that end with `advice` and do not hold the token."""
        try:
            yield
        except HfHubHTTPError as error:
            status = None if error.response is None else error.response.status_code
            if status == 401:
                reason = "the Hub does not know the token in HF_TOKEN: create a new one with write access"
            elif status == 403:
                reason = (
                    f"the token in HF_TOKEN may not write to {self._repository}: give it write access, or choose "
                    "another owner"
                )
            else:
                reason = f"the Hub replied: {self._without_token(str(error.server_message or error))}"
            raise HubError(f"{self._repository}: {reason}{advice}") from None
        except (HTTPError, OSError) as error:
            reason = self._without_token(str(error))
            raise HubError(f"{self._api.endpoint} cannot be reached ({reason}){advice}") from None

    def _without_token(self, text: str) -> str:
        return " ".join(text.replace(self._token, "***").split())
