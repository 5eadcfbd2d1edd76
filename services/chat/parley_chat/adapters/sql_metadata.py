"""What all tables of chat's database belong to. The tables are in `sql_schema.py` and in the modules that it names."""

from __future__ import annotations

from parley_shared.sql import new_metadata

metadata = new_metadata()
