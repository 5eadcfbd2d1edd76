"""Passages for the tests of the built-in model."""

from __future__ import annotations

import pytest
from parley_inference.domain.prompt import Passage

PROVIDERS = """A provider that speaks the OpenAI API needs no code: set its variables and restart.

Any other provider is one adapter:

1. Write `services/inference/parley_inference/adapters/<name>_model.py`. It implements the port `LanguageModel`.
2. Plug it in in `bootstrap.py`.
3. Run the suite of the port on it: add it to the fixture `case` in `tests/adapters/inference/conftest.py`.

```bash
make test ARGS="-k language_model"
```
"""
RPC = "Write the rpc in its proto, with comments that say default, bound, unit and order. Then run `make gen`."
SETTINGS = """| variable | what it says |
|---|---|
| `OPENAI_API_KEY` | the key of OpenAI |
| `OLLAMA_HOST` | where Ollama listens |
"""
PARLEY = (
    "Parley is a contract-first backend for AI chat. It is three gRPC services behind one Envoy edge. The edge listens on "
    "port 8080. It can be moved with `PARLEY_EDGE_PORT`. Cats, e.g. tabby cats, sleep for most of the day."
)


@pytest.fixture
def passages() -> tuple[Passage, ...]:
    """Passages as retrieval cuts them from documentation."""
    return (
        Passage(1, "Contributing", PROVIDERS, "Contributing › Add a provider"),
        Passage(2, "Contributing", RPC, "Contributing › Add an rpc"),
        Passage(3, "parley-inference", SETTINGS, "Settings"),
        Passage(4, "Parley", PARLEY),
    )
