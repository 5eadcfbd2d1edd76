"""Makes retrieval's own key and its public half: `python -m parley_retrieval.make_service_key`. A key that is there stays.

For operators who hand both to containers. The service does it at start when an embedding model is named.
"""

from __future__ import annotations

from typing import NoReturn

from parley_shared.service_keys import ServiceKeyError, load_or_make_service_key
from parley_shared.serving import run
from parley_shared.settings import Environment, SettingsError

from parley_retrieval.settings import RetrievalSettings


def main() -> NoReturn:
    """Writes the files that the environment names, and says where they are."""

    async def work() -> None:
        settings = RetrievalSettings.read(Environment())
        try:
            load_or_make_service_key(settings.service_key_file, settings.service_jwks_file)
        except ServiceKeyError as error:
            raise SettingsError("PARLEY_RETRIEVAL_SERVICE_KEY_FILE", str(error)) from error
        print(f"{settings.service_key_file}\n{settings.service_jwks_file}")

    run(work)


if __name__ == "__main__":
    main()
