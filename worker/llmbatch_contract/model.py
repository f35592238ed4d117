"""The base of every model that crosses a process or file boundary: camelCase outside, snake_case inside.

Unknown fields are errors, instances are immutable. `dump` and `load` are the one way to and from JSON.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """An immutable value with camelCase JSON names; unknown names are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )

    def dump(self) -> dict[str, Any]:
        """The value as JSON-ready data under its outside names, without what was never set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def dump_json(self) -> bytes:
        """`dump` as UTF-8 JSON on one line."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what `dump_json` wrote. Raises pydantic.ValidationError."""
        return cls.model_validate_json(data)


class SpecModel(Model):
    """A part of what users write: values must have their very type."""

    model_config = ConfigDict(strict=True)
