"""The `data` of a fast environment: MuJoCo's `MjData`, with every name and every array view looked up once."""

from __future__ import annotations

from typing import Any

from actors.metaworld.fast_physics import Physics


class NamedView:
    """What `data.body(name)` gives; keeps each view of the simulation's memory from the first access on."""

    def __init__(self, accessor: Any) -> None:
        self.__dict__["_accessor"] = accessor

    def __getattr__(self, field: str) -> Any:
        value = getattr(self._accessor, field)
        self.__dict__[field] = value
        return value

    def __setattr__(self, field: str, value: Any) -> None:
        setattr(self._accessor, field, value)


class NamedViews(dict[str, NamedView]):
    """The views of one kind of object (bodies, geoms, sites or joints) by name."""

    def __init__(self, find: Any) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, name: str) -> NamedView:
        view = self[name] = NamedView(self._find(name))
        return view


class FastData:
    """Stands for the `MjData` in a task's code; every attribute not defined here is that of the `MjData` itself.

    The kept views stay valid: bodies, geoms, sites and joints live in the part of an `MjData` that is never
    moved. Contacts and constraint forces do move, and are not kept.
    """

    def __init__(self, data: Any, physics: Physics) -> None:
        self.__dict__.update(
            raw=data,
            physics=physics,
            body=NamedViews(data.body).__getitem__,
            geom=NamedViews(data.geom).__getitem__,
            site=NamedViews(data.site).__getitem__,
            joint=NamedViews(data.joint).__getitem__,
        )

    def __getattr__(self, field: str) -> Any:
        return getattr(self.raw, field)

    def __setattr__(self, field: str, value: Any) -> None:
        setattr(self.raw, field, value)
